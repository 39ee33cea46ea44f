"""Name and content version of an asset file of Azure ML (data or environment). Standard library alone: any agent with Python 3.9 or newer.

    asset.py FILE           prints NAME and, on the next line, the first twelve digits of a SHA-256 over the file, and over what it names by
                            `path`, `conda_file` or `build.path`: a file's bytes, or a folder's names and bytes

Of YAML it reads the top level: `key: value`, with or without quotes, comments, `build: {path: …}` on one line or `path:` below `build:`.
"""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path

LINE = re.compile(r"^(\$?[A-Za-z_]\w*):(?:\s+(.*))?$")


def scalar(text: str) -> str:
    """A plain or quoted value without its comment."""
    text = text.strip()
    if text[:1] in ("'", '"'):
        end = text.find(text[0], 1)
        return text[1:end] if end > 0 else text[1:]
    return re.split(r"\s#", f" {text}", maxsplit=1)[0].strip()


def keys(path: Path) -> dict[str, str]:
    """The top level's values; `build.path` for what stands in `build`."""
    found: dict[str, str] = {}
    above = ""
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#") or line.strip() in ("---", "..."):
            continue
        match = LINE.match(line)
        if match:
            key, value = match[1], match[2] or ""
            above = key if not scalar(value) else ""
            if value.lstrip().startswith("{"):
                for name, inner in re.findall(r"(\w+)\s*:\s*('[^']*'|\"[^\"]*\"|[^,}]+)", value):
                    found[f"{key}.{name}"] = scalar(inner)
            else:
                found[key] = scalar(value)
        elif line[:1] in (" ", "\t"):
            inner_match = re.match(r"^\s+([A-Za-z_]\w*):\s+(.*)$", line)
            if inner_match and above:
                found.setdefault(f"{above}.{inner_match[1]}", scalar(inner_match[2]))
        elif not line.startswith("- "):
            sys.exit(f"{path}:{number}: found {line[:60]!r}; allowed: key: value")
    return found


def digest(path: Path) -> str:
    """SHA-256 over an asset file and what it names."""
    found = keys(path)
    total = hashlib.sha256(path.read_bytes())
    for key in ("path", "conda_file", "build.path"):
        named = found.get(key, "")
        if not named or "://" in named or named.startswith("azureml:"):
            continue
        target = path.parent / named
        if target.is_file():
            total.update(f"\0{key}\0".encode() + target.read_bytes())
        elif target.is_dir():
            for one in sorted(target.rglob("*"), key=lambda one: one.relative_to(target).as_posix()):
                if one.is_file() and "__pycache__" not in one.parts:
                    total.update(f"\0{one.relative_to(target).as_posix()}\0".encode() + hashlib.sha256(one.read_bytes()).digest())
        else:
            sys.exit(f"{path}: {key}: there is no {target}")
    return total.hexdigest()[:12]


def main() -> None:
    """Print name and version."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    path = Path(sys.argv[1])
    if not path.is_file():
        sys.exit(f"there is no file {path}")
    name = keys(path).get("name", "")
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,255}", name):
        sys.exit(f"{path}: name: found {name!r}; allowed: letters, digits, '.', '-' and '_'")
    print(name)
    print(digest(path))


if __name__ == "__main__":
    main()
