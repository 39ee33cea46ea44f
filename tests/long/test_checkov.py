"""checkov, a checker that nobody here wrote, on the Bicep: nothing is found, and whatever is passed over has its reason beside the line."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from own_environment import binaries

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.long


def checked(folder: Path) -> dict:
    environment = {**os.environ, "CHECKOV_RUN_SCA_PACKAGE_SCAN": "false"}
    command = [str(binaries("checkov") / "checkov"), "-d", str(folder), "--framework", "bicep", "--skip-download", "--quiet", "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=environment)
    assert done.stdout.strip(), done.stderr[-2000:]
    return json.loads(done.stdout)


def test_checkov_finds_nothing_that_is_not_explained():
    found = checked(ROOT / "infrastructure")
    assert found["summary"]["parsing_errors"] == 0
    assert [(one["check_id"], one["file_path"]) for one in found["results"]["failed_checks"]] == []
    assert found["summary"]["passed"] > 5


def test_every_check_that_is_passed_over_has_a_reason():
    lines = [
        line for path in (ROOT / "infrastructure").rglob("*.bicep") for line in path.read_text().splitlines() if "checkov:skip" in line
    ]
    assert lines
    for line in lines:
        assert re.search(r"// checkov:skip=CKV\w*_\d+: \S.{20,}\.$", line), line


def test_it_would_find_a_fault(tmp_path):
    shutil.copytree(ROOT / "infrastructure", tmp_path / "i")
    path = tmp_path / "i/modules/container-registry.bicep"
    path.write_text(path.read_text().replace("adminUserEnabled: false", "adminUserEnabled: true"))
    assert "CKV_AZURE_137" in [one["check_id"] for one in checked(tmp_path / "i")["results"]["failed_checks"]]
