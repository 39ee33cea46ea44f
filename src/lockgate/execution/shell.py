"""Puts values into a bash command so that no value can ever be more than a word.

A value travels as an environment variable and the command only names it, which bash never evaluates again. How the
name has to be written depends on the quotes it stands in, so the command is followed as bash reads it.
"""

from __future__ import annotations

import re
from typing import Final

from lockgate.errors import RunError

_HERE_DOCUMENT: Final = re.compile(r"<<(-?)[ \t]*(?:'([^'\n]+)'|\"([^\"\n]+)\"|\\?([^\s;&|<>()'\"]+))")


class BashReader:
    """Follows a command piece by piece and knows what the next character would be inside of."""

    def __init__(self) -> None:
        self._inside: list[str] = ["plain"]
        self._word_begins = True
        self._waiting: list[tuple[str, bool, bool]] = []
        self._line = ""

    @property
    def state(self) -> str:
        """plain, double, single, ansi, comment, here (expanded) or literal (a here-document that is not)."""
        return self._inside[-1]

    def read(self, text: str) -> None:
        """Go on over a piece of the command."""
        position = 0
        while position < len(text):
            position += self._step(text, position)

    def value(self) -> None:
        """A value stands here."""
        self._word_begins = False
        self._line += "?"

    def _step(self, text: str, at: int) -> int:
        character, state = text[at], self.state
        if state in ("here", "literal"):
            return self._in_here_document(character)
        if character == "\n":
            return self._end_line()
        if state == "comment":
            return 1
        if state == "single":
            if character == "'":
                self._inside.pop()
            return 1
        if character == "\\":
            self._word_begins = False
            return 2
        if state == "ansi":
            if character == "'":
                self._inside.pop()
            return 1
        return self._in_double(text, at) if state == "double" else self._in_plain(text, at)

    def _in_double(self, text: str, at: int) -> int:
        if text[at] == '"':
            self._inside.pop()
        elif text.startswith("$(", at):
            self._inside.append("plain")
            self._word_begins = True
            return 2
        elif text[at] == "`":
            self._backtick()
        return 1

    def _in_plain(self, text: str, at: int) -> int:
        character = text[at]
        begins, self._word_begins = self._word_begins, character in " \t;&|()<>"
        if character == "'":
            self._inside.append("ansi" if at and text[at - 1] == "$" else "single")
        elif character == '"':
            self._inside.append("double")
        elif character == "#" and begins:
            self._inside.append("comment")
        elif character == "(":
            self._inside.append("plain")
        elif character == ")" and len(self._inside) > 1:
            self._inside.pop()
        elif character == "`":
            self._backtick()
        elif text.startswith("<<", at) and not text.startswith("<<<", at):
            match = _HERE_DOCUMENT.match(text, at)
            if match:
                quoted = match[2] or match[3]
                self._waiting.append((quoted or match[4], bool(quoted) or "\\" in match[0], bool(match[1])))
                return len(match[0])
        elif text.startswith("<<<", at):
            return 3
        return 1

    def _backtick(self) -> None:
        if "backtick" in self._inside:
            while self._inside.pop() != "backtick":
                pass
            self._inside.pop()
        else:
            self._inside += ["backtick", "plain"]

    def _end_line(self) -> int:
        if self.state == "comment":
            self._inside.pop()
        if self.state == "plain":
            self._word_begins = True
            if self._waiting:
                self._inside.append("literal" if self._waiting[0][1] else "here")
                self._line = ""
        return 1

    def _in_here_document(self, character: str) -> int:
        if character != "\n":
            self._line += character
            return 1
        end, _, tabs = self._waiting[0]
        line = self._line.lstrip("\t") if tabs else self._line
        self._line = ""
        if line == end:
            self._waiting.pop(0)
            self._inside.pop()
            if self._waiting:
                self._inside.append("literal" if self._waiting[0][1] else "here")
        return 1


def written(state: str, name: str, value: str) -> str:
    """How the variable `name` is written in a state so that bash puts its value there as it is.

    Raises:
        RunError: the value can't stand there: several lines in a here-document that bash does not expand.
    """
    if state == "single":
        return f"'\"${{{name}}}\"'"
    if state == "ansi":
        return f"'\"${{{name}}}\"$'"
    if state in ("double", "here"):
        return f"${{{name}}}"
    if state == "literal":
        if "\n" in value:
            raise RunError("an input of several lines can't stand in a here-document with a quoted end; take the quotes away")
        return value
    if state == "comment":
        return ""
    return f'"${{{name}}}"'
