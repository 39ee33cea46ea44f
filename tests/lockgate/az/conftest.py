"""A desk in a folder of its own with a group, two workspaces and a registry; `az` is called in real processes."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

import forked
from lockgate.tracking import service


class Cloud:
    """A folder with the desk's state."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / ".lockgate").mkdir()

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
        return path

    def az(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Call az; options may stand in one word with spaces between."""
        given = {**os.environ, "LOCKGATE_ROOT": str(self.folder), **environment}
        return forked.run("desk", ["-m", "lockgate.az", *words], cwd=self.folder, env=given, timeout=100)

    def get(self, *words: str) -> Any:
        """The result of a command that must succeed."""
        done = self.az(*words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout else None

    def refused(self, code: int, *words: str) -> str:
        """What a command says that must be refused with an exit code."""
        done = self.az(*words)
        assert (done.returncode, done.stdout) == (code, ""), done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        assert done.stderr.startswith("ERROR: ")
        return done.stderr.removeprefix("ERROR: ").rstrip("\n")


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Cloud]:
    """A desk with nothing in it."""
    yield Cloud(tmp_path)
    service.stop(tmp_path / ".lockgate/mlflow")


@pytest.fixture
def cloud(empty: Cloud) -> Cloud:
    """A desk with what a delivery has."""
    return furnish(empty)


def furnish(empty: Cloud) -> Cloud:
    """Give a desk what a delivery has."""
    empty.get("group", "create", "--name", "rg", "--location", "westeurope")
    for name in ("dev1", "stage1"):
        empty.get("ml", "workspace", "create", "--name", name, "--resource-group", "rg")
    empty.write("registry.yml", "name: reg1\nlocation: westeurope\nreplication_locations: [{location: westeurope}]\n")
    empty.get("ml", "registry", "create", "--file", "registry.yml", "--resource-group", "rg")
    empty.get("configure", "--defaults", "group=rg", "workspace=dev1")
    empty.write("model/MLmodel", "flavors: {}\n")
    empty.write("model/data/weights.bin", "weights\n")
    return empty


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A desk with what a delivery has, for all tests of a module: they leave it as it is."""
    folder = tmp_path_factory.mktemp("shared")
    yield furnish(Cloud(folder))
    service.stop(folder / ".lockgate/mlflow")
