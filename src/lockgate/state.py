"""Where the desk keeps what it knows: the folder `.lockgate` of a project."""

from __future__ import annotations

from pathlib import Path
from typing import Final

STATE_FOLDER: Final = ".lockgate"
_IGNORE: Final = """\
# What a project may keep in git of this folder is named here; the rest is the desk's own.
*
!.gitignore
!environments.yml
!tasks/
!tasks/**
"""


def state_folder(root: Path) -> Path:
    """The folder, made if it is not there; git leaves alone what the desk puts in it."""
    folder = root / STATE_FOLDER
    ignore = folder / ".gitignore"
    if not ignore.exists():
        folder.mkdir(parents=True, exist_ok=True)
        ignore.write_text(_IGNORE, encoding="utf-8")
    return folder
