"""A value stays one word, wherever in a command it stands and whatever is in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

VALUES = {
    "spaces": "two  words ",
    "empty": "",
    "apostrophe": "it's",
    "quotes": 'say "yes"',
    "substitution": "$(touch pwned)",
    "backticks": "`touch pwned`",
    "separator": "a; touch pwned; b & c | d > e",
    "variable": "$HOME ${PATH}",
    "backslash": "a\\nb\\",
    "newline": "one\ntwo",
    "expression": "${{inputs.spaces}}",
    "brackets": "$[[x]]",
    "option": "-n",
    "glob": "*",
    "comment": "# no",
    "unicode": "Žluťoučký 飛行機",
}
SHOW = "python -c 'import json, sys; print(json.dumps(sys.argv[1:]))'"
EVIL = "$(touch pwned)'\"`touch pwned`"
# Name → a command with ${{inputs.value}} somewhere, and the words that it must give for a value.
PLACES = {
    "bare": (f"{SHOW} ${{{{inputs.value}}}}", ["{}"]),
    "part_of_a_word": (f"{SHOW} --x=${{{{inputs.value}}}}.csv", ["--x={}.csv"]),
    "in_double_quotes": (f'{SHOW} "a ${{{{inputs.value}}}} b"', ["a {} b"]),
    "in_single_quotes": (f"{SHOW} 'a ${{{{inputs.value}}}} b'", ["a {} b"]),
    "after_escaped_quote": (f'{SHOW} "\\"" ${{{{inputs.value}}}}', ['"', "{}"]),
    "in_an_optional_part": (f"{SHOW} $[[--x ${{{{inputs.value}}}}]]", ["--x", "{}"]),
    "after_an_apostrophe_in_a_comment": (f"# don't worry\n{SHOW} ${{{{inputs.value}}}}", ["{}"]),
    "in_a_substitution_in_quotes": (f'{SHOW} "$(printf %s "${{{{inputs.value}}}}")"', ["{}"]),
    "after_ansi_c_quotes": (f"{SHOW} $'it\\'s' ${{{{inputs.value}}}}", ["it's", "{}"]),
    "after_a_here_document": (f"cat > /dev/null <<'END'\nit's\nEND\n{SHOW} ${{{{inputs.value}}}}", ["{}"]),
}


@pytest.fixture(scope="module")
def ran(shared):
    """One job with a node per value and one per place; what each node's command got."""
    nodes = {}
    for name, value in VALUES.items():
        command = f"{SHOW} ${{{{inputs.value}}}} \"${{{{inputs.value}}}}\" '${{{{inputs.value}}}}'"
        nodes[f"value_{name}"] = {"command": command, "inputs": {"value": {"type": "string", "default": value}}}
    for name, (command, _) in PLACES.items():
        nodes[f"place_{name}"] = {"command": command, "inputs": {"value": EVIL}}
    for node in nodes.values():
        node |= {"type": "command", "environment": "azureml:any:1"}
    job = {"type": "pipeline", "settings": {"continue_on_step_failure": True}, "jobs": nodes}
    shared.write("job.yml", yaml.safe_dump(job, sort_keys=False, allow_unicode=True))
    shared.run("job.yml")
    return shared


def got(desk, node):
    folder = desk.rows("SELECT name FROM jobs")[0]["name"]
    return json.loads(Path(desk.folder, ".lockgate/workspaces/dev/jobs", folder, node, "log.txt").read_text())


@pytest.mark.parametrize("name", VALUES)
def test_a_value_is_one_word_bare_in_double_and_in_single_quotes(name, ran):
    assert got(ran, f"value_{name}") == [VALUES[name]] * 3


@pytest.mark.parametrize("name", PLACES)
def test_a_value_is_one_word_wherever_it_stands(name, ran):
    assert got(ran, f"place_{name}") == [word.replace("{}", EVIL) for word in PLACES[name][1]]


def test_no_value_was_run_as_a_command(ran):
    assert [path for path in ran.folder.rglob("pwned*") if path.is_file()] == []
