"""Writes docs/reference/az.md from the tables that the desk's `az` goes by; `--check` compares instead."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from lockgate.az import handlers
from lockgate.az.table import GLOBAL, lines, options_of

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "az.md"
_HEAD = """\
# What of `az` runs on the desk

Written by `tools/write_az_reference.py` from the tables that the desk's `az` goes by; a test compares them, and another compares the tables
with Microsoft's published reference of the ml extension.

An option that is not named as obeyed is refused by name (exit code 2), or accepted without effect for the reason given.

"""


def _rows() -> Iterator[str]:
    yield "| command | desk | obeyed | accepted without effect | refused |"
    yield "|---|---|---|---|---|"
    for command in sorted(lines()):
        handler = handlers.find(command)
        options = options_of(command)
        if handler is None:
            yield f"| `az {command}` | ✘ {handlers.why_not(command)} | | | |"
            continue
        accepted = dict(handler.accepts)
        obeyed = [o.name for o in options if o.key not in accepted and ("*" in handler.obeys or o.key in handler.obeys)]
        without = [f"`{o.name}`: {accepted[o.key]}" for o in options if o.key in accepted]
        refused = [o.name for o in options if o.name not in obeyed and o.key not in accepted]
        yield f"| `az {command}` | ✔ {handler.help} | {_names(obeyed)} | {'; '.join(without)} | {_names(refused)} |"
    yield ""
    yield f"Every command has {_names([option.name for option in GLOBAL])}."


def _names(names: list[str]) -> str:
    return " ".join(f"`{name}`" for name in names)


def page() -> str:
    """The page as it should be."""
    return _HEAD + "\n".join(_rows()) + "\n"


def main() -> None:
    """Write the page, or compare it."""
    if "--check" in sys.argv:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page():
            raise SystemExit(f"{PAGE.name} is not what the code says; run tools/write_az_reference.py")
        return
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
