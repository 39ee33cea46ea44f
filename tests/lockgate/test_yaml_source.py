"""YAML with places: where everything stands, and what is refused before it can do harm."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lockgate.errors import FileError
from lockgate.yaml_source import MAX_BYTES, load_yaml


def load(folder, data):
    file = folder / "file.yml"
    file.write_bytes(data if isinstance(data, bytes) else data.encode())
    return load_yaml(file, "file.yml")


def refused(folder, data):
    with pytest.raises(FileError) as caught:
        load(folder, data)
    return str(caught.value)


def test_every_value_and_key_knows_its_line_and_column(tmp_path):
    top = load(tmp_path, "# a remark\na: 1\nb:\n  - x\n  - {c: 'd', e: 2}\n")
    inner = top.get("b").value[1]
    assert str(top.place) == "file.yml:2:1"
    assert str(top.get("a").place) == "file.yml:2:4"
    assert [str(item.place) for item in top.get("b").value] == ["file.yml:4:5", "file.yml:5:5"]
    assert (str(inner.get("c").key_place), str(inner.get("e").place)) == ("file.yml:5:6", "file.yml:5:17")
    assert (inner.get("c").text, inner.get("e").value) == ("d", 2)


def test_columns_count_characters_and_not_bytes(tmp_path):
    top = load(tmp_path, 'a: {"Žluťoučký": 1, b: 2}\n')
    assert top.get("a").get("b").place.column == 24


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte-order-mark"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["lf", "crlf", "cr"])
def test_line_ends_and_a_byte_order_mark_do_not_move_places(mark, end, tmp_path):
    data = mark + end.join([b"a: 1", b"b:", b"  c: 2", b""])
    top = load(tmp_path, data)
    assert (str(top.place), str(top.get("b").get("c").place)) == ("file.yml:1:1", "file.yml:3:6")
    again = refused(tmp_path, data + b"a: 3" + end)
    assert again == "file.yml:4:1: key 'a' is there twice; remove one\n    a: 3\n    ^"


def test_all_duplicates_are_named_at_once(tmp_path):
    found = refused(tmp_path, "a: 1\na: 2\nb: {c: 1, c: 2}\n")
    assert [line for line in found.splitlines() if "twice" in line] == [
        "file.yml:2:1: key 'a' is there twice; remove one",
        "file.yml:3:11: key 'c' is there twice; remove one",
    ]


def test_scalars_are_typed_as_azure_reads_them_and_keep_their_text(tmp_path):
    top = load(tmp_path, "a: 1.10\nb: yes\nc: 2020-01-01\nd: '7'\ne:\nf: 0x10\ng: text\n")
    assert {key: (node.value, node.text) for key, node in top.items()} == {
        "a": (1.1, "1.10"),
        "b": (True, "yes"),
        "c": ("2020-01-01", "2020-01-01"),
        "d": ("7", "7"),
        "e": (None, ""),
        "f": (16, "0x10"),
        "g": ("text", "text"),
    }


def test_an_alias_stands_for_what_it_names(tmp_path):
    top = load(tmp_path, "a: &x {b: 1}\nc: *x\n")
    assert top.plain() == {"a": {"b": 1}, "c": {"b": 1}}


@pytest.mark.parametrize("text", ["a: !!python/object/apply:os.mkdir [{}]\n", "a: !!python/object/new:os.mkdir\n  args: [{}]\n"])
def test_a_tag_runs_nothing(text, tmp_path):
    marker = tmp_path / "pwned"
    with contextlib.suppress(FileError):
        load(tmp_path, text.format(marker))
    assert not marker.exists()


def test_a_tag_that_names_an_object_is_refused(tmp_path):
    assert "could not determine a constructor" in refused(tmp_path, "a: !!python/name:os.getcwd ''\n")


def test_a_value_that_its_tag_does_not_fit_is_a_mistake_with_its_place(tmp_path):
    assert refused(tmp_path, "a: 1\nb: !!int x\n").startswith("file.yml:2:4: 'x' can't be read: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "file.yml:1:1: the file is empty; allowed: a YAML mapping"),
        ("# only a remark\n", "file.yml:1:1: the file is empty; allowed: a YAML mapping"),
        ("a: [1, 2\nb: 3\n", "file.yml:1:4: not valid YAML: the bracket that opens here is not closed"),
        ("a: 1\n---\nb: 2\n", "file.yml:2:1: not valid YAML: "),
        ("a: *nowhere\n", "file.yml:1:4: not valid YAML: found undefined alias"),
        ("a: \x07\n", "file.yml:1:4: not valid YAML: "),
        ("? {a: 1}\n: 2\n", "file.yml:1:3: a key must be a text"),
    ],
    ids=["empty", "remark", "unclosed", "two-documents", "alias", "control-character", "key"],
)
def test_what_is_no_yaml_mapping_is_refused_at_its_place(text, message, tmp_path):
    assert refused(tmp_path, text).startswith(message)


def test_a_file_that_is_too_large_is_refused_unread(tmp_path):
    file = tmp_path / "file.yml"
    with file.open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    with pytest.raises(FileError, match=r"file.yml:1:1: found 10,000,001 bytes; allowed: at most 10,000,000"):
        load_yaml(file, "file.yml")


def test_a_large_file_is_read(tmp_path):
    top = load(tmp_path, "".join(f"key{number}: value {number}\n" for number in range(20_000)))
    assert (len(top.value), str(top.get("key19999").place)) == (20_000, "file.yml:20000:11")


def test_a_folder_and_a_file_that_is_not_there_are_one_sentence(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere.yml"):
        with pytest.raises(FileError, match=r"^file.yml:1:1: can't be read: .+; check the path$"):
            load_yaml(path, "file.yml")


def test_a_long_line_is_shown_with_a_caret_below_the_mistake(tmp_path):
    shown = refused(tmp_path, "a: {" + ", ".join(f"k{number}: 1" for number in range(60)) + ", k1: 2}\n").splitlines()
    assert shown[0].endswith("key 'k1' is there twice; remove one")
    assert shown[1][shown[2].index("^") :].startswith("k1")


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        "- " * 100_000 + "x",
        "{a: " * 100_000,
        "".join(" " * depth + "a:\n" for depth in range(2_000)),
        "!" * 100_000,
        "&a " * 10_000 + "x",
        "&" + "a" * 100_000 + " x",
        "a: '" + "x" * 5_000_000,
        "a: &a [*a, *a]\n",
    ],
    ids=["brackets", "dashes", "braces", "indents", "tags", "anchors", "anchor", "open-quote", "alias-of-itself"],
)
@pytest.mark.parametrize("before", ["", "type: pipeline\njobs: "], ids=["pipelines", "azureml"])
def test_hostile_text_ends_in_a_message_and_not_in_a_crash(text, before, tmp_path):
    (tmp_path / "job.yml").write_text(before + text)
    done = subprocess.run(
        [sys.executable, "-m", "lockgate", "check", "job.yml"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("job.yml:")
    assert "Traceback" not in done.stderr
    assert len(done.stderr) < 2_000


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_one_sentence(tmp_path):
    file = Path(tmp_path, "file.yml")
    file.write_text("a: 1\n")
    file.chmod(0)
    with pytest.raises(FileError, match="can't be read: Permission denied"):
        load_yaml(file, "file.yml")
