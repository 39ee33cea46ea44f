"""Reads and writes the variables of an environment, `env-variables/config-infra-ENVIRONMENT.yml`.

    config.py get ENVIRONMENT NAME...           the values, a line each
    config.py set ENVIRONMENT NAME VALUE        exit code 0 if the file was changed, 3 if it said so already

Standard library alone: it runs on any machine with Python 3.9 or newer. The lines have the form `- {name: NAME, value: VALUE}`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "env-variables"
LINE = re.compile(r"^- \{name: (?P<name>[\w.]+), value: (?P<value>.*)\}\s*(#.*)?$")
ALLOWED = re.compile(r"[A-Za-z0-9_.@, -]*")


def path_of(environment: str) -> Path:
    """The file of an environment."""
    path = FOLDER / f"config-infra-{environment}.yml"
    if not path.is_file():
        there = ", ".join(sorted(one.stem.rsplit("-", 1)[-1] for one in FOLDER.glob("config-infra-*.yml")))
        sys.exit(f"there is no environment {environment}; there is: {there}")
    return path


def values(path: Path) -> dict[str, str]:
    """Name → value."""
    found = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("- "):
            match = LINE.match(line)
            if match is None:
                sys.exit(f"{path.name}:{number}: found {line!r}; allowed: - {{name: NAME, value: VALUE}}")
            found[match["name"]] = match["value"].strip().strip("'\"")
    return found


def main() -> None:
    """Do what the command line says."""
    if len(sys.argv) < 4 or sys.argv[1] not in ("get", "set") or (sys.argv[1] == "set" and len(sys.argv) != 5):
        sys.exit(__doc__)
    path = path_of(sys.argv[2])
    known = values(path)
    missing = [name for name in (sys.argv[3:] if sys.argv[1] == "get" else sys.argv[3:4]) if name not in known]
    if missing:
        sys.exit(f"{path.name} lacks the variable {', '.join(missing)}")
    if sys.argv[1] == "get":
        print(*(known[name] for name in sys.argv[3:]), sep="\n")
        return
    name, value = sys.argv[3:]
    if not ALLOWED.fullmatch(value):
        sys.exit(f"{name}: found {value!r}; allowed: letters, digits and _ . @ , -")
    if known[name] == value:
        sys.exit(3)
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    new = [f"- {{name: {name}, value: '{value}'}}\n" if (found := LINE.match(line)) and found["name"] == name else line for line in lines]
    path.write_text("".join(new), encoding="utf-8")


if __name__ == "__main__":
    main()
