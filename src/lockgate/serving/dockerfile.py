"""What of a Dockerfile a process can be given: CMD and ENTRYPOINT in exec form, ENV, WORKDIR, EXPOSE, and files that are copied in.

Containers are not run on the desk. FROM, RUN, USER and the like describe the image that Azure builds; they are named in the
deployment's log and change nothing here. What would be wrong without them (a command in shell form) is refused.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lockgate.errors import FileError, Place, UnsupportedError
from lockgate.yaml_source import Node, Source

_OF_THE_IMAGE: Final = ("FROM", "RUN", "USER", "LABEL", "MAINTAINER", "HEALTHCHECK", "STOPSIGNAL", "SHELL", "VOLUME", "ONBUILD", "ADD")
_VARIABLE: Final = re.compile(r"\\\$|\$(?:\{(\w+)(?:(:?[-+])([^}]*))?\}|(\w+))")
_PAIR: Final = re.compile(r"(\w+)=((?:\"(?:\\.|[^\"])*\"|'[^']*'|\\.|[^\s\"'])*)")


@dataclass
class Image:
    """What a Dockerfile says of the process.

    Attributes:
        command: ENTRYPOINT and CMD.
        environment: ENV, with variables put in.
        workdir: absolute, in the container.
        exposed: ports.
        copies: source in the build's folder → target in the container.
        unused: instructions that are of the image alone, in order.
    """

    command: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    workdir: str = "/"
    exposed: list[int] = field(default_factory=list)
    copies: list[tuple[str, str]] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)


def read(path: Path, shown: str) -> Image:
    """Read a Dockerfile; of several stages, the last one is what runs.

    Raises:
        FileError: it is wrong.
        UnsupportedError: its command is in shell form, or it has none.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    source = Source(path, shown, lines)
    image = Image()
    arguments: dict[str, str] = {}
    entrypoint: list[str] = []
    command: list[str] = []
    for number, word, rest in _instructions(lines):
        known = {**arguments, **image.environment}
        node = Node(rest, rest, Place(shown, number, 1), source)
        if word == "FROM":
            image = Image(unused=[*image.unused, "FROM"])
            entrypoint, command = [], []
        elif word == "ENV":
            image.environment |= _pairs(rest, known, node)
        elif word == "ARG":
            name, _, value = rest.partition("=")
            arguments[name.strip()] = expand(value.strip().strip("\"'"), known)
        elif word == "WORKDIR":
            folder = expand(rest, known)
            image.workdir = folder if folder.startswith("/") else f"{image.workdir.rstrip('/')}/{folder}"
        elif word == "EXPOSE":
            image.exposed += [int(port.partition("/")[0]) for port in expand(rest, known).split() if port.partition("/")[0].isdigit()]
        elif word in ("CMD", "ENTRYPOINT"):
            found = _exec_form(word, rest, node)
            if word == "CMD":
                command = found
            else:
                entrypoint, command = found, []
        elif word == "COPY":
            image.copies += _copies(rest, known, image)
        elif word in _OF_THE_IMAGE:
            image.unused.append(word)
        else:
            raise FileError([node.mistake(f"found the instruction {word}; allowed: those of a Dockerfile")])
    image.command = [*entrypoint, *command]
    if not image.command:
        raise UnsupportedError(
            [
                Node("", "", Place(shown, len(lines), 1), source).mistake(
                    "has neither CMD nor ENTRYPOINT: what an image brings along is not known here; add CMD in exec form", unsupported=True
                )
            ]
        )
    return image


def _instructions(lines: list[str]) -> list[tuple[int, str, str]]:
    """Line, instruction and what follows it; lines that end with a backslash are put together."""
    found: list[tuple[int, str, str]] = []
    text, begin = "", 0
    for number, line in enumerate(lines, 1):
        if line.lstrip().startswith("#") or (not line.strip() and not text):
            continue
        begin = begin or number
        if line.rstrip().endswith("\\"):
            text += line.rstrip()[:-1] + " "
            continue
        word, _, rest = (text + line).strip().partition(" ")
        found.append((begin, word.upper(), rest.strip()))
        text, begin = "", 0
    return found


def _exec_form(word: str, text: str, node: Node) -> list[str]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list) or not found or not all(isinstance(one, str) for one in found):
        raise UnsupportedError(
            [
                node.mistake(
                    f'{word}: found {text!r}, which is in shell form; allowed on the desk: exec form, {word} ["python", "serve.py"]',
                    unsupported=True,
                )
            ]
        )
    return found


def _pairs(text: str, known: Mapping[str, str], node: Node) -> dict[str, str]:
    found = {match[1]: expand(_unquoted(match[2]), known) for match in _PAIR.finditer(text)}
    if not found:
        name, _, value = text.partition(" ")
        if not value:
            raise FileError([node.mistake(f"ENV: found {text!r}; allowed: NAME=value")])
        found = {name: expand(value.strip(), known)}
    return found


def _unquoted(text: str) -> str:
    if text.startswith("'"):
        return text.strip("'").replace("$", "\\$")
    if text.startswith('"'):
        return text[1:-1].replace('\\"', '"')
    return re.sub(r"\\([^$])", r"\1", text)


def expand(text: str, known: Mapping[str, str]) -> str:
    """A text with $NAME, ${NAME}, ${NAME:-default} and ${NAME:+other} put in."""

    def value(match: re.Match[str]) -> str:
        if match[0] == "\\$":
            return "$"
        found = known.get(match[1] or match[4], "")
        if match[2] in ("-", ":-"):
            return found or match[3]
        if match[2] in ("+", ":+"):
            return match[3] if found else ""
        return found

    return _VARIABLE.sub(value, text)


def _copies(text: str, known: Mapping[str, str], image: Image) -> list[tuple[str, str]]:
    words = [expand(word, known) for word in (json.loads(text) if text.startswith("[") else shlex.split(text))]
    options = [word for word in words if word.startswith("--")]
    words = [word for word in words if not word.startswith("--")]
    if any(option.startswith("--from") for option in options):
        image.unused.append("COPY --from")
        return []
    *sources, target = words
    if not target.startswith("/"):
        target = f"{image.workdir.rstrip('/')}/{target}" + ("/" if target.endswith("/") else "")
    return [(source, target) for source in sources]
