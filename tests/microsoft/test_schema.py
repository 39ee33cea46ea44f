"""The facts of Microsoft's publications: what `tools/write_reference_facts.py` writes is what the tests read."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest

from microsoft.schema import schema

ROOT = Path(__file__).parents[2]
REFERENCE = {
    "az ml one": {
        "params": {
            "--size": {"aliases": ["-s"], "required": False, "values": "l, m", "global": False, "group": None},
            "--name": {"aliases": ["-n"], "required": True, "values": None, "global": False, "group": "Some Arguments"},
            "--policy": {"aliases": [], "required": False, "values": None, "global": False, "group": "Global Policy Arguments"},
            "--help": {"aliases": ["-h"], "required": False, "values": None, "global": True, "group": None},
        }
    }
}
INPUTS = {
    "kind": {"ignoreCase": "all", "enum": ["a", "b c", "d|e", ""]},
    "old": {"type": "boolean", "ignoreCase": "key", "aliases": ["older"]},
    "count": {"type": "integer", "ignoreCase": "key"},
    "text": {"type": "string", "ignoreCase": "key"},
}


def task(name, required):
    return {
        "properties": {
            "task": {"ignoreCase": "value", "pattern": f"^{name}$"},
            "inputs": {"properties": INPUTS, "additionalProperties": False, "required": required},
        },
        "firstProperty": ["task"],
        "required": ["task", "inputs"] if required else ["task"],
    }


def published():
    """A small schema that has all that the real one has."""
    old = {"deprecationMessage": "deprecated"}
    one = {
        "type": "object",
        "properties": {
            "name": {"$ref": "#/definitions/text"},
            "clean": {"enum": ["yes", "no way"], "$ref": "#/definitions/text"},
            "queue": {"$ref": "#/definitions/many"} | old,
        },
        "additionalProperties": False,
        "required": ["name"],
        "firstProperty": ["name"],
    }
    pattern = {"type": "string", "pattern": '^a b "|" {~}$', "ignoreCase": "value"}
    some = {"minProperties": 1, "patternProperties": {"^[a= ]+$": {"$ref": "#/definitions/any"}}}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "oneOf": [{"$ref": "#/definitions/pipeline"}, {"type": "string", "pattern": "^$"}],
        "definitions": {
            "pipeline": one | old,
            "text": {"type": "string"},
            "many": {"type": "array", "items": {"$ref": "#/definitions/text"}},
            "any": {"anyOf": [{"type": "object", "$ref": "#/definitions/task"}, pattern, one | old]} | old,
            "mapping": {"type": "object", "additionalProperties": True},
            "some": {"anyOf": [{"type": "object", "additionalProperties": True} | some, {"type": "string", "pattern": "^none$"}]},
            "task": {
                "type": "object",
                "properties": {
                    "task": {"anyOf": [{"ignoreCase": "value", "enum": ["One@1"]}, {"ignoreCase": "value", "enum": ["Two@1"]} | old]},
                    "name": {"type": "string", "pattern": "^[a-z: ]*$"},
                    "enabled": {"type": "boolean"},
                    "env": {"$ref": "#/definitions/mapping"},
                },
                "additionalProperties": False,
                "firstProperty": ["task"],
                "anyOf": [task("One@1", ["text"]), task("Two@1", []) | old],
            },
        },
    }


@pytest.fixture
def tool(monkeypatch, tmp_path):
    """The tool, which writes into a folder of the test."""
    spec = importlib.util.spec_from_file_location("write_reference_facts", ROOT / "tools" / "write_reference_facts.py")
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    for name in ("AZ", "KEYS", "TASKS"):
        monkeypatch.setattr(found, name, tmp_path / getattr(found, name).name)
    return found


def write(tool, folder, monkeypatch, whole, reference=REFERENCE):
    (folder / "service-schema.json").write_text(json.dumps(whole | {"$comment": "v7"}))
    (folder / "az-ml-commands.json").write_text(json.dumps(reference))
    monkeypatch.setattr(sys, "argv", ["tool", "--from", str(folder), "--month", "2020-02"])
    tool.main()


def test_what_is_written_is_read_as_it_was_published(tool, tmp_path, monkeypatch):
    whole = published()
    write(tool, tmp_path, monkeypatch, whole)
    assert schema(tmp_path) == whole
    assert list(schema(tmp_path)["definitions"]["task"]["properties"]) == list(whole["definitions"]["task"]["properties"])
    assert tool.AZ.read_text().splitlines()[-2:] == ["ml one: --name,-n! --size,-s=l|m", "*: --help,-h"]


def test_a_head_says_the_version_and_how_to_renew(tool, tmp_path, monkeypatch):
    write(tool, tmp_path, monkeypatch, published())
    for path, version in ((tool.AZ, "2020-02"), (tool.KEYS, "v7"), (tool.TASKS, "v7")):
        head = [line for line in path.read_text().splitlines() if line.startswith("#")]
        assert version in head[0]
        assert "tools/write_reference_facts.py" in head[-1]


def test_no_sentence_of_the_schema_is_kept(tool, tmp_path, monkeypatch):
    whole = published()
    whole["definitions"]["text"] |= {"description": "Words of help."}
    whole["definitions"]["any"] |= {"deprecationMessage": "Words of help."}
    write(tool, tmp_path, monkeypatch, whole)
    assert [path.name for path in tmp_path.glob("*.txt") if "Words" in path.read_text()] == []
    assert schema(tmp_path) == published()


@pytest.mark.parametrize("place", ["text", "pipeline", "any", "many"])
def test_what_the_facts_have_no_room_for_ends_the_tool(tool, tmp_path, monkeypatch, place):
    whole = published()
    whole["definitions"][place] |= {"maxLength": 3}
    with pytest.raises(SystemExit, match=r"the facts have no room for .*maxLength"):
        write(tool, tmp_path, monkeypatch, whole)


def test_commands_that_differ_in_their_global_options_end_the_tool(tool, tmp_path, monkeypatch):
    with pytest.raises(SystemExit, match="differ in their global options"):
        write(tool, tmp_path, monkeypatch, published(), REFERENCE | {"az ml two": {"params": {}}})


def test_a_line_that_is_no_fact_is_refused(tmp_path):
    (tmp_path / "keys.txt").write_text("task: { name }\n")
    (tmp_path / "tasks.txt").write_text("*: One@1\n")
    with pytest.raises(ValueError, match="'name' is no fact"):
        schema(tmp_path)


def test_every_part_that_the_facts_name_is_there():
    whole = schema()
    named = set(re.findall(r'"\$ref": "#/definitions/(\w+)"', json.dumps(whole)))
    assert {"pipeline", "stages", "step", "task"} <= named <= set(whole["definitions"])
    assert len(whole["definitions"]["task"]["anyOf"]) > 250
