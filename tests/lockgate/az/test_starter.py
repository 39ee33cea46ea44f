"""`az` inside a run: forked from a process that has its modules loaded, and the same as one that was started."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from lockgate.az.starter import CLIENT, VARIABLE, Starter

GROUP = ["group", "create", "--name", "g", "--location", "westeurope"]


@pytest.fixture
def starter(monkeypatch: pytest.MonkeyPatch) -> Iterator[Starter]:
    made = Starter()
    monkeypatch.setenv(VARIABLE, f"{CLIENT}:{made.address}")
    yield made
    made.end()
    until(lambda: made.process.poll() is not None)


def until(what: Callable[[], bool], patience: float = 30) -> None:
    deadline = time.monotonic() + patience
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def start(folder: Path, *words: str, **more: object) -> subprocess.Popen[str]:
    environment = {**os.environ, "LOCKGATE_ROOT": str(folder)}
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(CLIENT), sys.executable, *words],
        cwd=folder, env=environment, stderr=subprocess.PIPE, text=True, **{"stdout": subprocess.PIPE, **more},
    )  # type: ignore[call-overload,no-any-return]  # fmt: skip


def az(folder: Path, *words: str) -> tuple[int, str, str]:
    process = start(folder, *words)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def stand_alone(folder: Path, *words: str) -> tuple[int, str, str]:
    environment = {**os.environ, "LOCKGATE_ROOT": str(folder)}
    done = subprocess.run(
        [sys.executable, "-m", "lockgate.az", *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["version"],
        ["ml", "model", "list", "--workspace-name", "w", "--resource-group", "nobody"],
        ["no", "such", "command"],
        ["group", "create", "--name", "ünïcode ✔", "--location", "westeurope"],
        ["group", "list", "--query", "[].name", "--output", "tsv"],
        ["ml", "job", "create", "--file", "folder/job.yml", "--workspace-name", "w", "--resource-group", "g"],
        [],
    ],
)
def test_a_call_is_what_it_is_when_started(starter: Starter, tmp_path: Path, words: list[str]) -> None:
    folders = [tmp_path / name / "same" for name in ("a", "b")]
    for folder in folders:
        folder.mkdir(parents=True)
    forked, started = az(folders[0], *words), stand_alone(folders[1], *words)
    assert [text.replace(str(folders[0]), "F") for text in map(str, forked)] == [
        text.replace(str(folders[1]), "F") for text in map(str, started)
    ]


def test_calls_at_the_same_time_do_not_get_into_each_others_way(starter: Starter, tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(12)]
    for folder in folders:
        folder.mkdir()
    processes = [start(folder, "group", "create", "--name", folder.name, "--location", "westeurope") for folder in folders]
    names = [json.loads(process.communicate(timeout=60)[0])["name"] for process in processes]
    assert names == [folder.name for folder in folders]
    for folder in folders:
        assert json.loads(az(folder, "group", "list")[1])[0]["name"] == folder.name


def test_where_nobody_answers_it_is_started(starter: Starter, tmp_path: Path) -> None:
    starter.process.send_signal(signal.SIGKILL)
    starter.process.wait()
    assert az(tmp_path, *GROUP)[0] == 0
    shutil.rmtree(Path(starter.address).parent)
    assert json.loads(az(tmp_path, "group", "list")[1])[0]["name"] == "g"


def test_another_desks_call_is_not_done_by_these_modules(starter: Starter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "client.py"
    shutil.copy(CLIENT, copy)
    starter.process.send_signal(signal.SIGSTOP)  # It would wait for ever.
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(copy), sys.executable, "version"], capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "LOCKGATE_ROOT": str(tmp_path)},
    )  # fmt: skip
    starter.process.send_signal(signal.SIGCONT)
    assert done.returncode == 0
    assert "azure-cli" in done.stdout


@pytest.fixture
def full() -> Iterator[int]:
    """The end to write into of a pipe that is full."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(write, bytes(4096))
    os.set_blocking(write, True)
    yield write
    os.close(read)
    os.close(write)


def waiting_call(starter: Starter, folder: Path, full: int) -> tuple[subprocess.Popen[str], psutil.Process]:
    """A call that waits to be rid of its answer, and the process that does it."""
    process = start(folder, "version", stdout=full)
    until(lambda: bool(psutil.Process(starter.process.pid).children()))
    (doing,) = psutil.Process(starter.process.pid).children()
    until(lambda: doing.status() == psutil.STATUS_SLEEPING)
    return process, doing


def test_a_signal_reaches_who_does_it_and_the_caller_ends_by_it(starter: Starter, tmp_path: Path, full: int) -> None:
    process, doing = waiting_call(starter, tmp_path, full)
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGTERM
    until(lambda: not doing.is_running())


def test_a_call_that_was_begun_is_not_done_once_more_when_its_starter_is_killed(starter: Starter, tmp_path: Path, full: int) -> None:
    process, doing = waiting_call(starter, tmp_path, full)
    starter.process.kill()
    assert process.wait(30) == 1
    doing.kill()  # It has the caller's streams.
    _, error = process.communicate(timeout=30)
    assert error.startswith("ERROR: the process that did what az was asked for was ended, perhaps before it was done")


def test_a_call_that_nobody_had_begun_is_done_when_the_starter_is_killed(starter: Starter, tmp_path: Path) -> None:
    starter.process.send_signal(signal.SIGSTOP)
    process = start(tmp_path, *GROUP)
    until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_SLEEPING)
    starter.process.kill()
    out, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (0, "")
    assert json.loads(out)["name"] == "g"


def test_who_does_it_ends_when_the_caller_is_killed(starter: Starter, tmp_path: Path, full: int) -> None:
    process, doing = waiting_call(starter, tmp_path, full)
    process.kill()
    process.communicate(timeout=30)
    until(lambda: not doing.is_running())


PIPELINE = """\
steps:
- ${{ each number in split('1,2,3', ',') }}:
  - task: AzureCLI@2
    inputs:
      azureSubscription: connection
      scriptType: bash
      scriptLocation: inlineScript
      inlineScript: |
        az version --query '"azure-cli"' --output tsv
        echo "${LOCKGATE_AZ_SOCKET##*:}" > ADDRESS; AFTER
"""


def test_a_run_leaves_no_process_and_no_folder(tmp_path: Path) -> None:
    (tmp_path / "p.yml").write_text(PIPELINE.replace("ADDRESS", str(tmp_path / "address")).replace("AFTER", "true"))
    command = [sys.executable, "-m", "lockgate", "run", "p.yml", "--plain", "--logs"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    address = Path((tmp_path / "address").read_text().strip())
    assert address.name == "az"
    until(lambda: not address.parent.exists())
    until(lambda: not any(str(address.parent) in " ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])))


def test_it_ends_when_the_run_is_killed(tmp_path: Path) -> None:
    text = PIPELINE.replace("ADDRESS", str(tmp_path / "address")).replace("AFTER", "sleep 100")
    (tmp_path / "p.yml").write_text(text)
    command = [sys.executable, "-m", "lockgate", "run", "p.yml", "--plain"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    address = tmp_path / "address"
    until(lambda: address.exists() and bool(address.read_text().strip()))
    folder = Path(address.read_text().strip()).parent
    process.kill()
    process.wait()
    until(lambda: not folder.exists())
    until(lambda: not any(str(folder) in " ".join(one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"])))
