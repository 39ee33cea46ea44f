"""A clone is enough: nothing in it reads a folder that stands beside it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("tests", "src", "tools", "benchmarks")
NOT_OF_THE_PROJECT = re.compile(r"shared[/\\]+reference|(?<![\w.-])/(?:home|root|work|mnt|srv|Users)/")
"""Folders beside a clone, and those that a machine has for its people; not where such a name is a part of an address."""
SHELL = re.compile(r"dirname [^)\n]*\)[\"']?((?:/\.\.)+)")
"""How a shell script finds the repository from its own place."""
HERE = Path(__file__)


def files() -> list[Path]:
    return [file for folder in FOLDERS for file in sorted((ROOT / folder).rglob("*")) if file.is_file() and "__pycache__" not in file.parts]


def outside(file: Path, text: str) -> list[str]:
    """What a file of the repository names that is not in it, each with its line."""
    found = [(number, match[0]) for number, line in enumerate(text.splitlines(), 1) for match in NOT_OF_THE_PROJECT.finditer(line)]
    if file.suffix == ".py":
        found += [(number, said) for number, said, path in paths(file, text) if not path.is_relative_to(ROOT)]
    for match in SHELL.finditer(text):
        if match[1].count("..") > len(file.parent.relative_to(ROOT).parts):
            found.append((text.count("\n", 0, match.start()) + 1, match[0]))
    return [f"{file.relative_to(ROOT).as_posix()}:{number}: {said}" for number, said in sorted(set(found))]


def paths(file: Path, text: str) -> Iterator[tuple[int, str, Path]]:
    """Every path that a module makes of its own place: line, words, path. `ROOT` of another module is the repository."""
    module = ast.parse(text)
    known = {"ROOT": ROOT}
    for statement in module.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            path = value(statement.value, file, known)
            if path is not None:
                known[statement.targets[0].id] = path
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute | ast.Subscript | ast.BinOp | ast.Call):
            path = value(node, file, known)
            if path is not None:
                yield node.lineno, ast.unparse(node), path


def value(node: ast.expr, file: Path, known: dict[str, Path]) -> Path | None:
    """The path that an expression gives, if it is made of the module's own place."""
    match node:
        case ast.Name(id=name):
            return known.get(name)
        case ast.Call(func=ast.Name(id="Path"), args=[ast.Name(id="__file__")]):
            return file
        case ast.Call(func=ast.Name(id="Path"), args=[inner]):
            return value(inner, file, known)
        case ast.Call(func=ast.Attribute(value=inner, attr="resolve" | "absolute"), args=[]):
            return value(inner, file, known)
        case ast.Call(func=ast.Attribute(value=inner, attr="joinpath"), args=[*parts]):
            return joined(value(inner, file, known), parts)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return joined(value(left, file, known), [right])
        case ast.Attribute(value=inner, attr="parent"):
            path = value(inner, file, known)
            return path.parent if path else None
        case ast.Subscript(value=ast.Attribute(value=inner, attr="parents"), slice=ast.Constant(value=int(number))):
            path = value(inner, file, known)
            return path.parents[number] if path else None
    return None


def joined(path: Path | None, parts: list[ast.expr]) -> Path | None:
    for part in parts:
        if path is None or not (isinstance(part, ast.Constant) and isinstance(part.value, str)):
            return None
        for word in part.value.split("/"):
            path = path.parent if word == ".." else path / word
    return path


def test_no_file_names_a_path_outside_of_the_repository():
    found = []
    for file in files():
        if file != HERE:
            text = file.read_bytes().decode("utf-8", errors="replace")
            found += outside(file, text)
    assert found == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tests/deep/a.py", "X = Path(__file__).parents[3] / 'b'\n"),
        ("tests/deep/a.py", "ROOT = Path(__file__).resolve().parents[2]\nX = ROOT.parent / 'b'\n"),
        ("tests/deep/a.py", "HERE = Path(__file__).parent\ndef f():\n    return (HERE / '../../../b').read_text()\n"),
        ("tests/deep/a.py", "HERE = Path(__file__).parent.parent\nf(HERE.joinpath('..', '..', 'b'))\n"),
        ("tests/deep/a.py", "from support import ROOT\nX = ROOT / '..' / 'b'\n"),
        ("tests/deep/a.py", '"""Reads `shared/reference`."""\n'),
        ("tests/deep/a.txt", "see ../shared/reference/a.json\n"),
        ("tools/a.sh", 'cd "$(dirname "${BASH_SOURCE[0]}")/../.."\n'),
        ("tools/a.sh", "cat /home/someone/facts.json\n"),
    ],
)
def test_a_path_outside_is_found(name, text):
    assert outside(ROOT / name, text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tests/deep/a.py", "ROOT = Path(__file__).parents[2]\nX = ROOT / 'tools' / '..' / 'docs'\n"),
        ("tests/deep/a.py", "X = folder.parent.parent / '..' / 'b'\n"),
        ("tests/deep/a.py", "parser.add_argument('--from', type=Path)\n"),
        ("tools/a.sh", 'cd "$(dirname "${BASH_SOURCE[0]}")/.."\n'),
        ("tools/a.sh", "ls /usr/bin /etc/passwd agents/work/1\n"),
    ],
)
def test_a_path_inside_is_none(name, text):
    assert outside(ROOT / name, text) == []
