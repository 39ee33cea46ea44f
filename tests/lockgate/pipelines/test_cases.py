"""Every file of tests/cases/pipelines: `ok` expands to the file beside it, `err` and `unsupported` are refused with the message beside them.

The first line of a case may give options: `# options: -p a=b -v x=y --repo other=parts/other --variable-groups parts/groups.yml`.
What the desk refuses and Azure takes is in `unsupported`; what both refuse is in `err`.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import yaml

from lockgate.agent.tasks import catalog
from lockgate.commands._shared import add_request_options, make_request
from lockgate.errors import FileError, LockgateError, UnsupportedError
from lockgate.pipelines.emit import flat_yaml
from lockgate.pipelines.pipeline_file import load_pipeline

CASES = Path(__file__).parents[2] / "cases" / "pipelines"
OK, ERR, UNSUPPORTED = (CASES / kind for kind in ("ok", "err", "unsupported"))
OPTIONS = "# options: "
CLI_OK = ("root-steps", "template-of-repository", "parameter-object-keeps-types", "resources-pipelines")
CLI_ERR = ("several-mistakes", "template-chain-of-inclusion", "yaml-anchor")
CLI_UNSUPPORTED = ("container", "task-unknown", "variable-group-without-file")
ONLY_WHEN_RUN = {
    "deployment-without-environment",
    "directive-key-collision",
    "parameter-required",
    "step-checkout-unknown-repository",
    "step-download-unknown-pipeline",
    "step-name-twice",
    "template-unknown-repository",
    "variable-group-of-a-template-without-file",
    "variable-group-without-file",
}
"""What `lockgate check` leaves to a run: a value, a file of groups, or the pipeline that includes the file may mend it."""


def names(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.yml") if not path.name.endswith(".expected.yml"))


def options_of(path: Path) -> list[str]:
    first = path.read_bytes().split(b"\n", 1)[0].decode("utf-8", errors="replace")
    return shlex.split(first.removeprefix(OPTIONS)) if first.startswith(OPTIONS) else []


@cache
def tasks():
    return catalog(CASES)


def request_for(path: Path, given: list[str], root: Path):
    parser = argparse.ArgumentParser()
    add_request_options(parser)
    request, _ = make_request(parser.parse_args(["--branch", "main", *given]), root, path)
    return request


def expanded(path: Path, root: Path, given: list[str]) -> str:
    """What `lockgate expand` prints. The current folder is `root`."""
    pipeline, mistakes = load_pipeline(path, root, tasks(), request_for(path, given, root))
    mistakes.stop(unsupported=False)
    return flat_yaml(pipeline)


def refused(path: Path, root: Path, *, checking: bool) -> LockgateError:
    """What stops `lockgate check` or, if not `checking`, a run."""
    try:
        request = request_for(path, options_of(path), root)
        _, mistakes = load_pipeline(path, root, tasks(), replace(request, checking=checking))
        mistakes.stop()
    except LockgateError as error:
        return error
    pytest.fail(f"{path} is accepted")


def lockgate(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "lockgate", *arguments], cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", names(OK))
def test_expands_to_the_file_beside_it(name, monkeypatch):
    monkeypatch.chdir(OK)
    path = Path(f"{name}.yml")
    assert expanded(path, OK, options_of(path)) == text_of(OK / f"{name}.expected.yml")


@pytest.mark.parametrize("name", names(OK))
def test_the_expansion_of_an_expansion_is_itself(name, monkeypatch, tmp_path):
    monkeypatch.chdir(OK)
    given = options_of(OK / f"{name}.yml")
    further = [text for pair in zip(given[::2], given[1::2], strict=True) if pair[0] in ("--repo", "--variable-groups") for text in pair]
    once = expanded(Path(f"{name}.yml"), OK, given)
    flat = tmp_path / "flat.yml"
    flat.write_text(once, encoding="utf-8")
    assert expanded(flat, tmp_path, further) == once


@pytest.mark.parametrize("name", names(OK))
def test_check_finds_nothing_wrong_in_what_expands(name, monkeypatch):
    monkeypatch.chdir(OK)
    path = Path(f"{name}.yml")
    request = request_for(path, options_of(path), OK)
    _, mistakes = load_pipeline(path, OK, tasks(), replace(request, checking=True))
    assert [str(mistake) for mistake in (*mistakes.wrong, *mistakes.unsupported)] == []


@pytest.mark.parametrize("name", names(ERR))
def test_a_mistake_is_reported_with_its_place_and_what_is_allowed(name, monkeypatch):
    monkeypatch.chdir(ERR)
    error = refused(Path(f"{name}.yml"), ERR, checking=name not in ONLY_WHEN_RUN)
    assert f"{error}\n" == text_of(ERR / f"{name}.txt")
    assert isinstance(error, FileError)
    assert not isinstance(error, UnsupportedError)


@pytest.mark.parametrize("name", names(UNSUPPORTED))
def test_what_the_desk_does_not_run_is_refused_by_name(name, monkeypatch):
    monkeypatch.chdir(UNSUPPORTED)
    error = refused(Path(f"{name}.yml"), UNSUPPORTED, checking=name not in ONLY_WHEN_RUN)
    assert f"{error}\n" == text_of(UNSUPPORTED / f"{name}.txt")
    assert isinstance(error, UnsupportedError)
    assert error.exit_code == 3


@pytest.mark.parametrize("name", [name for name in names(UNSUPPORTED) if name != "phases"])
def test_what_the_desk_does_not_run_expands_all_the_same(name, monkeypatch):
    monkeypatch.chdir(UNSUPPORTED)
    path = Path(f"{name}.yml")
    assert yaml.safe_load(expanded(path, UNSUPPORTED, options_of(path)))["stages"]


def test_every_expansion_and_message_has_its_case_and_the_other_way_round():
    assert {path.name.removesuffix(".expected.yml") for path in OK.glob("*.expected.yml")} == set(names(OK))
    for folder in (ERR, UNSUPPORTED):
        assert {path.stem for path in folder.glob("*.txt")} == set(names(folder))
    assert {*names(ERR), *names(UNSUPPORTED)} >= ONLY_WHEN_RUN


@pytest.mark.parametrize("name", CLI_OK)
def test_expand_prints_the_flat_yaml(name):
    done = lockgate("expand", f"{name}.yml", "--root", ".", *options_of(OK / f"{name}.yml"), cwd=OK)
    assert (done.stdout, done.stderr, done.returncode) == (text_of(OK / f"{name}.expected.yml"), "", 0)


def test_check_of_right_files_exits_with_0():
    done = lockgate("check", "root-steps.yml", "job-matrix.yml", "--root", ".", cwd=OK)
    assert (done.stdout, done.stderr, done.returncode) == ("root-steps.yml: no mistakes\njob-matrix.yml: no mistakes\n", "", 0)


@pytest.mark.parametrize("name", CLI_ERR)
def test_check_of_a_mistaken_file_prints_the_message_and_exits_with_1(name):
    done = lockgate("check", f"{name}.yml", "--root", ".", *options_of(ERR / f"{name}.yml"), cwd=ERR)
    assert (done.stdout, done.stderr, done.returncode) == ("", text_of(ERR / f"{name}.txt"), 1)


@pytest.mark.parametrize("name", CLI_ERR)
def test_expand_of_a_mistaken_file_prints_the_message_and_exits_with_2(name):
    done = lockgate("expand", f"{name}.yml", "--root", ".", *options_of(ERR / f"{name}.yml"), cwd=ERR)
    assert (done.stdout, done.stderr, done.returncode) == ("", text_of(ERR / f"{name}.txt"), 2)


@pytest.mark.parametrize("name", [name for name in CLI_UNSUPPORTED if name != "variable-group-without-file"])
def test_check_of_what_the_desk_does_not_run_exits_with_3(name):
    done = lockgate("check", f"{name}.yml", "--root", ".", cwd=UNSUPPORTED)
    assert (done.stdout, done.stderr, done.returncode) == ("", text_of(UNSUPPORTED / f"{name}.txt"), 3)


@pytest.mark.parametrize("name", CLI_UNSUPPORTED)
def test_plan_of_what_the_desk_does_not_run_prints_a_plan_or_the_message_and_no_traceback(name):
    done = lockgate("plan", f"{name}.yml", "--root", ".", cwd=UNSUPPORTED)
    assert done.returncode in (0, 3)
    assert "Traceback" not in done.stderr
    assert done.stdout or done.stderr


def test_a_mistake_outweighs_what_is_not_run():
    done = lockgate("check", "unsupported/container.yml", "err/yaml-anchor.yml", "ok/root-steps.yml", "--root", ".", cwd=CASES)
    assert done.returncode == 1
    assert done.stdout == "ok/root-steps.yml: no mistakes\n"
    assert "unsupported/container.yml:" in done.stderr
    assert "err/yaml-anchor.yml:" in done.stderr


def test_independent_mistakes_of_one_file_are_all_reported(monkeypatch):
    monkeypatch.chdir(ERR)
    error = refused(Path("several-mistakes.yml"), ERR, checking=True)
    assert isinstance(error, FileError)
    assert [mistake.place.line for mistake in error.mistakes] == [4, 7, 10, 11, 15, 17, 20]
