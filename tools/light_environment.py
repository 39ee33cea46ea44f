"""An environment over the project's own, for runs of the tests on another tree, or with something that every process begins with.

Its Python finds the packages of the environment that makes it, but the project's modules in the tree that is named, also in processes that
start without variables. It takes a few milliseconds to make, and leaves the project's environment as it is.
"""

from __future__ import annotations

import os
import shlex
import sys
import sysconfig
import venv
from pathlib import Path


def make(folder: Path, sources: list[Path], start: str = "") -> Path:
    """Make it.

    Args:
        folder: where.
        sources: folders whose modules come before all others.
        start: Python code of one line that every process begins with; the modules beside this one can be imported in it.

    Returns:
        Its Python.
    """
    venv.EnvBuilder(symlinks=os.name != "nt", with_pip=False).create(folder)
    scripts = Path(sysconfig.get_path("scripts", vars={"base": str(folder)}))
    python = scripts / Path(sys.executable).name
    ours = Path(sysconfig.get_path("scripts"))
    for path in sorted(ours.iterdir()):
        if not path.is_file() or (scripts / path.name).exists():
            continue
        content = path.read_bytes()
        if content.startswith(b"#!") and b"python" in content.split(b"\n", 1)[0]:
            # A console script names its Python in the first line.
            _, _, rest = content.partition(b"\n")
            (scripts / path.name).write_bytes(f"#!{shlex.quote(str(python))}\n".encode() + rest)
            (scripts / path.name).chmod(0o755)
        else:
            (scripts / path.name).symlink_to(path)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    lines = [*map(str, sources), f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})"]
    if start:
        # Python may read such a file twice.
        here = str(Path(__file__).parent)
        lines.append(f"import sys; {here!r} in sys.path or sys.path.append({here!r}); {start}")
    (site / "before.pth").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return python


def variables() -> dict[str, str]:
    """The variables of this process, without what would change what the tests do; as in `./test`."""
    unwanted = ("LOCKGATE_ROOT", "LOCKGATE_RUN", "LOCKGATE_JOB", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "VIRTUAL_ENV")
    return {**{name: text for name, text in os.environ.items() if name not in unwanted}, "MLFLOW_DISABLE_TELEMETRY": "true"}
