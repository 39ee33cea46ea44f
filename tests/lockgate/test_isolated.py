"""`--isolated`: a node runs in an environment built of its conda file's pip part; `down` ends what goes on, `up --endpoints` brings it back."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long
ROOT = Path(__file__).parents[2]
JOB = """\
type: command
command: python -c "import sys, colorama; print(colorama.__version__, sys.prefix)" > ${{outputs.said}}
environment: {image: minimal, conda_file: conda.yml}
outputs: {said: {type: uri_file}}
"""
CONDA = "dependencies: [python=3.12, pip, {pip: [colorama==0.4.5]}]\n"
has_uv = shutil.which("uv") is not None or (ROOT / ".tools/uv/bin/uv").exists()
needs_uv = pytest.mark.skipif(not has_uv, reason="uv is not installed on this machine")


def tools(desk):
    """The desk's folder with the repository's uv."""
    if (ROOT / ".tools").exists():
        (desk.folder / ".tools").symlink_to(ROOT / ".tools")


@needs_uv
def test_a_node_runs_in_an_environment_of_its_own_which_is_built_once(desk):
    tools(desk)
    desk.write("job.yml", JOB)
    desk.write("conda.yml", CONDA)
    done = desk.run("job.yml", "--json", "--isolated")
    if "Could not connect" in done.stderr or "error sending request" in done.stderr:
        pytest.skip("no package index is reached from this machine")
    assert done.returncode == 0, done.stderr
    assert "building an environment with 1 packages (once; kept in .lockgate/environments/" in done.stderr
    said = Path(json.loads(done.stdout)["outputs"]["command"]["said"]).read_text()
    assert said.startswith("0.4.5 ")
    assert "/.lockgate/environments/" in said
    again = desk.run("job.yml", "--json", "--isolated")
    assert again.returncode == 0, again.stderr
    assert "building" not in again.stderr


@needs_uv
def test_what_can_not_be_built_is_said_and_the_job_fails(desk):
    tools(desk)
    desk.write("job.yml", JOB)
    desk.write("conda.yml", CONDA.replace("colorama==0.4.5", "colorama==999"))
    done = desk.run("job.yml", "--isolated")
    assert done.returncode == 1
    assert "an environment can't be built: pip install ended with 1:" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_conda_alone_would_install_is_refused_by_name(desk):
    desk.write("job.yml", JOB)
    desk.write("conda.yml", "dependencies: [python=3.12, numpy=2]\n")
    done = desk.run("job.yml", "--isolated")
    assert done.returncode == 3
    assert "conda.yml:1:29: found 'numpy=2', which conda would install" in done.stderr


def test_without_it_pins_are_compared(desk):
    desk.write("job.yml", JOB.replace("import sys, colorama; print(colorama.__version__, sys.prefix)", "print(1)"))
    desk.write("conda.yml", CONDA)
    done = desk.run("job.yml")
    assert done.returncode == 0, done.stderr
    assert "environment conda.yml: colorama 0.4.5 is not installed here" in done.stdout or "colorama is" in done.stdout


def test_ui_wants_a_store(desk):
    (desk.folder / "other").mkdir()
    done = desk.call("ui", "--root", str(desk.folder / "other"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no MLflow store below" in done.stderr


def test_down_ends_jobs(desk):
    desk.write("job.yml", "type: command\ncommand: sleep 600\nenvironment: {image: x}\n")
    process = desk.start("job.yml")
    jobs = desk.folder / ".lockgate/workspaces/dev/jobs"
    desk.wait_until(lambda: list(jobs.glob("*/command/log.txt")), "the job runs")
    done = desk.call("down", "--root", str(desk.folder))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ended job ")
    assert "ended the tracking server\n" in done.stdout
    assert process.wait(30) == 130
    assert desk.call("down", "--root", str(desk.folder)).stdout == "nothing was running\n"


def test_endpoints_come_back_after_down(desk):
    def az(*words):
        done = subprocess.run(
            [sys.executable, "-m", "lockgate.az", *words], cwd=desk.folder, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    (desk.folder / ".lockgate").mkdir(exist_ok=True)
    desk.write("code/score.py", "def run(raw): return 'here'\n")
    desk.write(
        "d.yml",
        "name: blue\nendpoint_name: ep1\ncode_configuration: {code: code, scoring_script: score.py}\nenvironment: {image: x}\ninstance_type: x\n",
    )
    desk.write("r.json", "{}")
    place = ("--resource-group", "rg", "--workspace-name", "ws1")
    az("group", "create", "--name", "rg", "--location", "here")
    az("ml", "workspace", "create", "--name", "ws1", "--resource-group", "rg")
    az("ml", "online-endpoint", "create", "--name", "ep1", *place)
    az("ml", "online-deployment", "create", "--file", "d.yml", "--all-traffic", *place)
    before = json.loads(az("ml", "online-endpoint", "show", "--name", "ep1", *place))["scoring_uri"]
    assert "ended endpoint ep1 of workspace ws1" in desk.call("down").stdout
    left = subprocess.run(["pgrep", "-f", str(desk.folder)], capture_output=True, text=True, check=False).stdout
    assert left == ""
    done = desk.call("up", "--endpoints")
    assert done.stdout == f"endpoint ep1 of workspace ws1: {before}\n"
    desk.wait_until(lambda: "here" in subprocess.run(
        [sys.executable, "-m", "lockgate.az", "ml", "online-endpoint", "invoke", "--name", "ep1", "--request-file", "r.json", *place],
        cwd=desk.folder, capture_output=True, text=True, check=False).stdout, "the endpoint answers")  # fmt: skip
    desk.call("down")
