"""Every file of tests/cases/azureml: those in `ok` load; those in `err` are refused with exactly the message beside them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lockgate.errors import FileError, UnsupportedError
from lockgate.execution.job_file import load_job
from lockgate.execution.overrides import parse_override

CASES = Path(__file__).parents[1] / "cases" / "azureml"
MISTAKEN = sorted(path.stem for path in (CASES / "err").glob("*.yml"))
RIGHT = sorted(path.stem for path in (CASES / "ok").glob("*.yml"))
ONLY_IN_AZURE = {
    "automl-featurization-auto",
    "automl-keys-only-of-azure",
    "automl-metric-not-optimised-here",
    "automl-task-not-trained-here",
    "automl-training-only-of-azure",
    "automl-without-featurization",
    "command-job-with-distribution",
    "component-of-type-sweep",
    "distribution",
    "instance-count-2",
    "job-of-another-type",
    "job-of-type-spark",
    "node-of-type-data-transfer",
    "node-of-type-import",
    "node-of-type-spark",
    "node-of-type-sweep",
    "parallel-distribution",
    "parallel-node-changes-its-component",
    "parallel-rows-of-an-mltable",
    "parallel-task-only-of-azure",
    "remote-component-of-registry",
    "remote-component",
    "remote-path",
    "saved-output-on-the-web",
}
MATTERS = {
    "cycle": 1,
    "several-mistakes": 1,
    "mistakes-in-component": 1,
    "mistake-beside-unsupported": 1,
    "automl-task-not-trained-here": 3,
}


def check(folder: Path, *names: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lockgate", "check", *names], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("name", MISTAKEN)
def test_a_mistake_is_reported_with_its_place_and_what_is_allowed(name):
    folder = CASES / "err"
    with pytest.raises(FileError) as caught:
        load_job(folder / f"{name}.yml", root=folder)
    assert f"{caught.value}\n" == (folder / f"{name}.txt").read_text(encoding="utf-8")
    assert caught.value.exit_code == (3 if name in ONLY_IN_AZURE else 2)
    assert isinstance(caught.value, UnsupportedError) == (name in ONLY_IN_AZURE)


def test_every_message_has_its_case():
    assert {path.stem for path in (CASES / "err").glob("*.txt")} == set(MISTAKEN)
    assert set(MISTAKEN) >= ONLY_IN_AZURE


@pytest.mark.parametrize("name", RIGHT)
def test_a_file_without_mistakes_loads(name):
    folder = CASES / "ok"
    job = load_job(folder / f"{name}.yml", root=folder)
    assert job.nodes


@pytest.mark.parametrize("name", MATTERS)
def test_check_prints_the_message_and_says_by_its_exit_code_whose_fault_it_is(name):
    done = check(CASES / "err", f"{name}.yml")
    assert done.stderr == (CASES / "err" / f"{name}.txt").read_text(encoding="utf-8")
    assert (done.returncode, done.stdout) == (MATTERS[name], "")


def test_check_of_several_files_reports_each_and_a_mistake_outweighs_what_is_not_run():
    done = check(CASES, "ok/diamond.yml", "err/cycle.yml", "err/node-of-type-spark.yml", "ok/every-key.yml")
    assert done.stdout == "ok/diamond.yml: no mistakes\nok/every-key.yml: no mistakes\n"
    assert done.stderr.startswith("err/cycle.yml:3:3: ")
    assert "\nerr/node-of-type-spark.yml:4:11: " in done.stderr
    assert done.returncode == 1


def test_run_of_a_mistaken_file_starts_nothing_and_makes_no_state(tmp_path):
    file = CASES / "err" / "cycle.yml"
    done = subprocess.run(
        [sys.executable, "-m", "lockgate", "run", str(file), "--root", str(tmp_path)],
        cwd=CASES / "err",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == file.with_suffix(".txt").read_text(encoding="utf-8")
    assert list(tmp_path.iterdir()) == []


def test_a_registered_component_that_is_not_there_is_reported_with_those_that_are(tmp_path):
    file = CASES / "err" / "remote-component.yml"
    (tmp_path / ".lockgate").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "lockgate", "run", str(file), "--root", str(tmp_path)],
        cwd=CASES / "err",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == (
        "remote-component.yml:5:16: component: workspace 'dev' has no component step:1; it has: none yet\n"
        "        component: azureml:step:1\n"
        "                   ^\n"
    )


def test_an_automl_node_without_a_project_above_it_is_refused(tmp_path):
    shutil.copytree(CASES / "ok" / "parts", tmp_path / "parts")
    shutil.copyfile(CASES / "ok" / "automl-node.yml", tmp_path / "job.yml")
    with pytest.raises(UnsupportedError) as caught:
        load_job(tmp_path / "job.yml", root=tmp_path)
    assert str(caught.value) == (
        "job.yml:4:5: jobs.train: the desk runs an AutoML node by data-science/src/train.py,"
        " and neither this file's folder nor one above it has one\n"
        "        type: automl\n"
        "        ^"
    )


def test_a_missing_job_file_is_said_in_one_line(tmp_path):
    done = check(tmp_path, "nowhere.yml")
    assert (done.returncode, done.stderr) == (1, "nowhere.yml:1:1: can't be read: No such file or directory; check the path\n")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("jobs.clean.inputs.rows=0", "--set jobs.clean.inputs.rows:1:1: jobs.clean.inputs.rows: found '0'; allowed: at least 1"),
        ("jobs.clean.inputs.rowz=5", "--set jobs.clean.inputs.rowz:1:1: jobs.clean.inputs: 'rowz' is not an input of step"),
        ("jobs.clean.inputs.table.path=no.csv", "there is no file or folder 'no.csv'"),
        ("colour=red", "--set colour:1:1: unknown key 'colour' of a pipeline job"),
        ("jobs.other.inputs.rows=5", "--set jobs.other.inputs.rows:1:1: jobs.other.type: found 'nothing'"),
    ],
)
def test_a_mistake_in_set_is_reported_at_that_option(override, message):
    with pytest.raises(FileError, match="--set ") as caught:
        load_job(CASES / "ok" / "defaults-only.yml", [parse_override(override)], CASES / "ok")
    assert message in str(caught.value)


@pytest.mark.parametrize("argument", ["jobs.clean", "=5", "jobs..x=1"])
def test_set_without_key_and_value_is_a_mistake_of_the_command_line(argument, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "lockgate", "run", "job.yml", f"--set={argument}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"--set {argument!r}: allowed: path.to.key=value, such as ")
