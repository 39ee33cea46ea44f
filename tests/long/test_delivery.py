"""The delivery on the desk, end to end, on the flight data: from a commit to production, and every way in which it must stop.

One repository for all tests, in their order, as a team's is: what one leaves behind, the next one finds. The first search is the shortest, so
that later models are not worse than the champion on a slow machine either.
"""

from __future__ import annotations

import functools
import getpass
import http.client
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
from contextlib import contextmanager
from pathlib import Path

import pytest

from lockgate import delivery
from lockgate.agent.runs import Runs

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.long
PIPELINES = "mlops-pipelines"


class Team:
    """A repository with its desk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True)
        for name in listed.stdout.splitlines():
            if (ROOT / name).exists() and not name.startswith("tests/"):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        self.git("init", "-q", "-b", "main")
        self.commit("first")

    def git(self, *words: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *words], cwd=self.folder, check=True, capture_output=True
        )

    def commit(self, why: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", why)

    def edit(self, name: str, old: str, new: str) -> None:
        """Change a file and commit it."""
        path = self.folder / name
        text = path.read_text(encoding="utf-8")
        assert old in text, (name, old)
        path.write_text(text.replace(old, new), encoding="utf-8")
        self.commit(f"{name}: {new[:40]}")

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "lockgate", *words], cwd=self.folder, capture_output=True, text=True, check=False, timeout=600
        )

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "lockgate", *words], cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def pipeline(self, name: str, *words: str) -> subprocess.CompletedProcess[str]:
        return self.call("run", f"{PIPELINES}/{name}.yml", "--plain", "--no-follow", *words)

    def runs(self, name: str = "") -> list:
        return Runs(self.folder).of_pipeline(name) if name else Runs(self.folder).all()

    def newest(self, name: str) -> int:
        """The newest run of a pipeline that has handed a release on."""
        return [run for run in self.runs(name) if run.record.get("result") == "Succeeded"][-1].id

    @functools.cached_property
    def prod(self) -> delivery.Place:
        # Read once: the caller asks while git changes the files.
        return next(place for place in delivery.places(self.folder) if place.name == "prod")

    def traffic(self) -> dict[str, str]:
        return {row["deployment"]: row["traffic"] for row in delivery.deployments(self.folder, self.prod) if row["kind"] == "online"}

    def live(self) -> str:
        return next(name for name, share in self.traffic().items() if share == "100 %")

    def ask(self, connection: http.client.HTTPConnection | None = None) -> tuple[int, bytes]:
        row = next(row for row in delivery.deployments(self.folder, self.prod) if row["uri"])
        target = urllib.parse.urlsplit(row["uri"])
        own = connection or http.client.HTTPConnection(target.netloc, timeout=30)
        key = delivery.key_of(self.folder, self.prod)
        own.request("POST", target.path, (self.folder / "data-science/data/request.json").read_bytes(), {"Authorization": f"Bearer {key}"})
        answer = own.getresponse()
        found = answer.status, answer.read()
        if connection is None:
            own.close()
        return found

    @contextmanager
    def caller(self):
        """Somebody who asks production all the time; what they were answered."""
        row = next(row for row in delivery.deployments(self.folder, self.prod) if row["uri"])
        netloc = urllib.parse.urlsplit(row["uri"]).netloc
        answers, stop = [], threading.Event()

        def ask_on() -> None:
            connection = http.client.HTTPConnection(netloc, timeout=30)
            while not stop.is_set():
                answers.append(self.ask(connection)[0])
            connection.close()

        thread = threading.Thread(target=ask_on)
        thread.start()
        try:
            yield answers
        finally:
            stop.set()
            thread.join()


@pytest.fixture(scope="module")
def team(tmp_path_factory):
    team = Team(tmp_path_factory.mktemp("team"))
    yield team
    team.call("down")
    left = subprocess.run(["pgrep", "-af", str(team.folder)], capture_output=True, text=True, check=False).stdout
    assert left == ""


def test_one_command_takes_a_commit_to_production(team):
    done = team.call("up", "--plain", "--seconds", "3")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    names = [run.record["pipeline"] for run in team.runs()]
    # Dev's infrastructure is there before training begins; the others are made beside it.
    assert names[0] == "bicep-ado-deploy-infra"
    assert names.count("bicep-ado-deploy-infra") == 3
    assert [name for name in names if name != "bicep-ado-deploy-infra"] == [
        "dev-model-training", "stage-register-in-staging", "stage-model-testing", "stage-batch-endpoint", "stage-online-endpoint",
        "prod-register-in-production", "prod-online-endpoint", "prod-batch-endpoint",
    ]  # fmt: skip
    assert {run.record["result"] for run in team.runs()} == {"Succeeded"}
    assert re.search(r"^notes +\.lockgate/runs/\d+/artifacts/release/notes\.md", done.stdout, re.MULTILINE)
    assert team.live() == "blue"
    assert team.ask()[0] == 200
    answer = json.loads(re.search(r"^answer +200 (\{.*\})$", done.stdout, re.MULTILINE)[1])
    assert len(answer["predictions"]) == 4
    assert delivery.champion(team.folder, team.prod["registry"]) == "flight-delay:1"
    # The same bytes in all three places.
    folders = ("workspaces/mlw-lockgate-dev", "registries/mlr-lockgate-staging", "registries/mlr-lockgate-production")
    manifests = {(team.folder / ".lockgate" / name / "model/flight-delay/1/manifest.json").read_bytes() for name in folders}
    assert len(manifests) == 1


def test_who_approved_is_written_down(team):
    (run,) = team.runs("prod-register-in-production")
    (record,) = [json.loads(path.read_text()) for path in (run.path / "approvals").glob("*.json")]
    assert (record["state"], record["how"]) == ("approved", "--yes")
    assert record["by"]


def test_the_notes_of_a_release_say_who_approved_what(team):
    """Each pipeline of production asked, and the last one's notes name all three answers."""
    folder = team.runs("prod-batch-endpoint")[-1].path / "artifacts" / "release"
    given = json.loads((folder / "release.json").read_text())["approvals"]
    assert [(one["pipeline"], one["status"]) for one in given] == [
        (name, "approved") for name in ("prod-register-in-production", "prod-online-endpoint", "prod-batch-endpoint")
    ]
    assert {one["by"] for one in given} == {getpass.getuser()}
    assert [one["what"].endswith("environment prod") for one in given] == [True] * 3
    notes = (folder / "notes.md").read_text()
    assert "## Release of flight-delay, version 1" in notes
    assert notes.count("| approved |") == 3


def test_an_unchanged_second_time_deploys_nothing_again(team):
    before = len(team.runs())
    done = team.call("up", "--plain", "--seconds", "3")
    assert done.returncode == 0, done.stderr
    assert f"unchanged since run {before}" in done.stdout
    assert "answer   200" in done.stdout
    assert len(team.runs()) == before


def test_status_shows_the_lanes(team):
    found = json.loads(team.call("status", "--json").stdout)
    assert [(lane["environment"], lane["model"], lane["champion"]) for lane in found["lanes"]] == [
        ("dev", "flight-delay:1", ""), ("stage", "flight-delay:1", ""), ("prod", "flight-delay:1", "flight-delay:1"),
    ]  # fmt: skip
    assert found["waiting"] == []


def test_a_branch_that_only_ends_in_main_stops_after_dev(team):
    team.git("checkout", "-q", "-b", "feature/main")
    try:
        before = [run.id for run in team.runs()]
        done = team.call("up", "--plain", "--seconds", "8")
    finally:
        team.git("checkout", "-q", "main")
    assert done.returncode == 0, done.stdout[-2000:]
    assert "refs/heads/feature/main is not refs/heads/main: the release stops after dev" in done.stdout
    assert [run.record["pipeline"] for run in team.runs() if run.id not in before] == ["dev-model-training"]


def test_two_branches_train_at_once_and_neither_is_released(team):
    before = len(team.runs())
    both = [
        team.start(
            "run", f"{PIPELINES}/dev-model-training.yml", "--plain", "--branch", f"refs/heads/{name}", "-p", f"searchSeconds={seconds}"
        )
        for name, seconds in (("one", 9), ("two", 10))
    ]
    said = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    records = [run.record for run in team.runs()[before:]]
    assert sorted(record["sourceBranch"] for record in records) == ["refs/heads/one", "refs/heads/two"]
    # Each has a version of its own, and nothing that follows has started.
    releases = [delivery.release_of(run.path) for run in team.runs()[before:]]
    assert len({release["version"] for release in releases}) == 2
    assert [record.get("tags", []) for record in records] == [[], []]
    assert {record["pipeline"] for record in records} == {"dev-model-training"}


def test_worse_data_stop_at_the_gate(team):
    """Delays that belong to other flights: the file is as valid as before, and nothing can be learned from it."""
    path = team.folder / "data-science/data/data.csv"
    head, *lines = path.read_text(encoding="utf-8").splitlines()
    rows = [line.rsplit(",", 1) for line in lines]
    delays = [delay for _, delay in rows]
    random.Random(0).shuffle(delays)
    path.write_text("\n".join([head, *(f"{row[0]},{delay}" for row, delay in zip(rows, delays, strict=True))]) + "\n", encoding="utf-8")
    team.commit("worse data")
    before = len(team.runs())
    done = team.call("up", "--plain", "--seconds", "5")
    team.git("revert", "--no-edit", "HEAD")
    assert done.returncode == 1
    assert "REFUSED: nothing is released, and what production has stays" in done.stdout
    summary = (team.runs()[-1].path / "artifacts" / "report" / "decision.json").read_text()
    failed = [check["sentence"] for check in json.loads(summary)["checks"] if not check["passed"]]
    assert any("rmse" in sentence for sentence in failed), failed
    assert len(team.runs()) == before + 1
    assert team.ask()[0] == 200


def test_a_worse_candidate_is_refused_and_nothing_downstream_starts(team):
    team.edit("data-science/project.yml", "rmse: {max: 25}", "rmse: {max: 1}")
    before = len(team.runs())
    done = team.call("up", "--plain", "--seconds", "5")
    team.git("revert", "--no-edit", "HEAD")
    assert done.returncode == 1
    assert "REFUSED: nothing is released, and what production has stays" in done.stdout
    assert len(team.runs()) == before + 1
    newest = team.runs("dev-model-training")[-1]
    assert (newest.record["result"], newest.record.get("tags", [])) == ("SucceededWithIssues", [])
    assert team.ask()[0] == 200


def test_one_changed_byte_between_registries_is_refused(team):
    model = team.folder / ".lockgate/registries/mlr-lockgate-staging/model/flight-delay/1/model.onnx"
    kept = model.read_bytes()
    try:
        model.unlink()
        model.write_bytes(kept[:100] + bytes([kept[100] ^ 1]) + kept[101:])
        done = team.pipeline("prod-register-in-production", "--yes", "--resource", f"upstream={team.newest('stage-online-endpoint')}")
    finally:
        model.write_bytes(kept)
    assert done.returncode == 1
    assert "model.onnx: has other bytes than the manifest lists; this is not the model that was registered" in done.stdout + done.stderr


def test_a_model_without_a_passed_stage_test_is_refused(team):
    az = [sys.executable, "-m", "lockgate.az", "ml", "model", "update", "-n", "flight-delay", "-v", "1", "--registry-name", "mlr-lockgate-staging",
          "-g", "rg-lockgate-stage", "-w", "mlw-lockgate-stage", "--set"]  # fmt: skip
    subprocess.run([*az, "tags.stage_test=refused"], cwd=team.folder, check=True, capture_output=True)
    try:
        done = team.pipeline("prod-register-in-production", "--yes", "--resource", f"upstream={team.newest('stage-online-endpoint')}")
    finally:
        subprocess.run([*az, "tags.stage_test=passed"], cwd=team.folder, check=True, capture_output=True)
    assert done.returncode == 1
    assert "flight-delay:1 has not the tag stage_test=passed (found: refused); it may not go on" in done.stdout + done.stderr


def test_a_rejected_approval_ends_the_release(team):
    process = team.start("run", f"{PIPELINES}/prod-register-in-production.yml", "--plain", "--no-follow", "--resource",
                         f"upstream={team.newest('stage-online-endpoint')}")  # fmt: skip
    deadline = time.monotonic() + 60
    while not (waiting := json.loads(team.call("status", "--json").stdout)["waiting"]):
        assert time.monotonic() < deadline
    run = re.search(r"run (\d+) \(prod-register-in-production\) waits", waiting[0])[1]
    assert team.call("reject", run).returncode == 0
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 1, said
    assert Runs(team.folder).find(int(run)).record["result"] == "Failed"


def release(team, *words):
    # The same model again: what is released is other code, and the pipeline would say that there is nothing to do.
    return team.pipeline(
        "prod-online-endpoint", "--yes", "--resource", f"upstream={team.newest('prod-register-in-production')}", "-p", "again=true", *words
    )


def test_what_production_answers_with_is_not_released_again(team):
    done = team.pipeline("prod-online-endpoint", "--yes", "--resource", f"upstream={team.newest('prod-register-in-production')}")
    assert done.returncode == 0, done.stderr
    assert team.traffic() == {"blue": "100 %"}


def test_a_wrong_answer_fails_the_smoke_test_and_traffic_stays(team):
    team.edit(
        "data-science/src/score.py",
        "    return _scorer.score(raw)",
        '    found = _scorer.score(raw)\n    found["predictions"] = [p + 50 for p in found["predictions"]]\n    return found',
    )
    with team.caller() as answers:
        done = release(team)
    team.git("revert", "--no-edit", "HEAD")
    assert done.returncode == 1
    assert "failed while testing the new deployment; traffic stays as it is (blue and green: 100 0)" in done.stdout + done.stderr
    assert (team.live(), set(answers)) == ("blue", {200})


def test_a_colour_that_failed_is_nothing_to_go_back_to(team):
    done = team.pipeline("rollback-online-endpoint")
    assert done.returncode == 1
    assert "there is nothing to go back to: deployment green is not one that is kept" in done.stdout + done.stderr
    assert team.live() == "blue"
    assert delivery.champion(team.folder, team.prod["registry"]) == "flight-delay:1"


def test_a_deployment_that_breaks_down_under_load_gets_no_traffic(team):
    # It answers the smoke test, and breaks down under load.
    old = '    if _scorer is None:\n        raise RuntimeError("call init() first")\n    return _scorer.score(raw)'
    new = "    global _count\n    _count += 1\n    if _count > 60:\n        import os\n        os._exit(9)\n    return _scorer.score(raw)\n\n\n_count = 0"
    team.edit("data-science/src/score.py", old, new)
    with team.caller() as answers:
        done = release(team)
    team.git("revert", "--no-edit", "HEAD")
    assert done.returncode == 1, done.stdout[-2000:]
    assert "failed while loading the new deployment by itself; traffic stays as it is" in done.stdout + done.stderr
    assert team.live() == "blue"
    assert set(answers) == {200}


def test_a_canary_with_errors_is_rolled_back_and_no_caller_sees_one(team):
    """It holds out through the smoke test and its own load; with a share of the traffic it fails at rows that come alone, which callers' do not."""
    old = '    if _scorer is None:\n        raise RuntimeError("call init() first")\n    return _scorer.score(raw)'
    new = (
        "    global _count\n    _count += 1\n    found = _scorer.score(raw)\n"
        '    if _count > 300 and len(found["predictions"]) == 1:\n        raise RuntimeError("worn out")\n    return found\n\n\n_count = 0'
    )
    team.edit("data-science/src/score.py", old, new)
    # Mirrored requests would wear it out before its share of the traffic does.
    team.edit("infrastructure/env-variables/config-infra-prod.yml", "mirror_percent, value: 20", "mirror_percent, value: 0")
    with team.caller() as answers:
        done = release(team)
        after = len(answers)
        time.sleep(0.5)
    team.git("revert", "--no-edit", "HEAD", "HEAD~1")
    said = done.stdout + done.stderr
    assert done.returncode == 1, said[-2000:]
    assert "failed while giving the canary 10 %; traffic goes back to blue" in said
    assert re.search(r"FAILED +errors: [1-9]", said)
    assert team.live() == "blue"
    assert len(answers) > after > 0
    assert set(answers) == {200}


def test_too_few_answers_of_the_canary_means_back(team):
    team.edit("infrastructure/env-variables/config-infra-prod.yml", "canary_seconds, value: 300", "canary_seconds, value: 1")
    team.edit("infrastructure/env-variables/config-infra-prod.yml", "canary_answers, value: 200", "canary_answers, value: 100000")
    done = release(team)
    team.git("revert", "--no-edit", "HEAD", "HEAD~1")
    assert done.returncode == 1
    assert "at least 100000 are needed" in done.stdout + done.stderr
    assert team.live() == "blue"


def test_a_good_release_turns_the_colour_and_keeps_the_old_one(team):
    with team.caller() as answers:
        done = release(team)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert team.traffic() == {"blue": "0 %", "green": "100 %"}
    assert set(answers) == {200}


def test_one_click_rolls_back(team):
    with team.caller() as answers:
        done = team.pipeline("rollback-online-endpoint")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert team.traffic() == {"blue": "100 %", "green": "0 %"}
    assert set(answers) == {200}
    assert delivery.champion(team.folder, team.prod["registry"]) == "flight-delay:1"


def test_two_releases_at_once_never_race_for_one_colour(team):
    upstream = f"upstream={team.newest('prod-register-in-production')}"
    both = [
        team.start(
            "run", f"{PIPELINES}/prod-online-endpoint.yml", "--plain", "--no-follow", "--yes", "-p", "again=true", "--resource", upstream
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    # One after the other: from blue to green, and from green to blue.
    assert team.traffic() == {"blue": "100 %", "green": "0 %"}


def test_an_update_that_was_cut_off_and_happened_all_the_same_is_put_back(team, tmp_path, monkeypatch):
    """az loses the connection while the canary gets its share: nobody says so, and the share is there."""
    az = tmp_path / "az"
    az.write_text(
        f'#!/bin/bash\n{sys.executable} -m lockgate.az "$@"\ncode=$?\ncase "$*" in *"--traffic "*"=90 "*) exit 1 ;; esac\nexit "$code"\n'
    )
    az.chmod(0o755)
    monkeypatch.setenv("LOCKGATE_AZ", str(tmp_path))
    live = team.live()
    with team.caller() as answers:
        done = release(team)
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert f"failed while giving the canary 10 %; traffic goes back to {live}" in said
    assert sorted(team.traffic().values()) == ["0 %", "100 %"]
    assert team.live() == live
    assert set(answers) == {200}


def in_its_canary(team):
    """A release that has just given its canary a share of the traffic."""
    upstream = f"upstream={team.newest('prod-register-in-production')}"
    words = ["--plain", "--no-follow", "--yes", "-p", "again=true", "--resource", upstream]
    process = team.start("run", f"{PIPELINES}/prod-online-endpoint.yml", *words)
    deadline = time.monotonic() + 120
    while "10 %" not in team.traffic().values():
        assert time.monotonic() < deadline, process.poll()
        time.sleep(0.2)
    return process


def test_a_rollback_in_the_middle_of_a_canary_is_not_overruled(team):
    """Whoever rolls back while a canary is watched has the last word: the release ends, and touches nothing."""
    live = team.live()
    team.edit("infrastructure/env-variables/config-infra-prod.yml", "canary_watch_seconds, value: 0", "canary_watch_seconds, value: 12")
    with team.caller() as answers:
        process = in_its_canary(team)
        assert team.pipeline("rollback-online-endpoint").returncode == 0
        assert team.live() == live
        said = process.communicate(timeout=120)[0]
    team.git("revert", "--no-edit", "HEAD")
    assert process.returncode == 1, said[-2000:]
    assert "somebody else has changed the shares" in said
    assert "could not be put back" not in said.lower()
    assert team.live() == live
    assert set(answers) == {200}


def test_a_release_that_was_killed_in_its_canary_goes_on(team):
    """kill -9 of the run while traffic is shared: callers are answered throughout, and the resumed run ends the release."""
    live = team.live()
    team.edit("infrastructure/env-variables/config-infra-prod.yml", "canary_watch_seconds, value: 0", "canary_watch_seconds, value: 15")
    with team.caller() as answers:
        process = in_its_canary(team)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
        team.git("revert", "--no-edit", "HEAD")
        done = team.pipeline("prod-online-endpoint", "--resume", "--yes")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert team.live() != live
    assert set(answers) == {200}


def test_a_killed_run_goes_on_where_it_was(team):
    process = team.start("run", f"{PIPELINES}/stage-batch-endpoint.yml", "--plain", "--no-follow", "--yes", "--resource",
                         f"upstream={team.newest('stage-model-testing')}")  # fmt: skip
    for line in process.stdout:
        if "▶ Batch / Batch / Score" in line:
            break
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    done = team.pipeline("stage-batch-endpoint", "--resume", "--yes")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-1000:]
    assert team.runs("stage-batch-endpoint")[-1].record["result"] == "Succeeded"


def test_a_second_version_replaces_the_first_and_the_champion_goes_back_with_it(team):
    done = team.call("up", "--plain", "--seconds", "8")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    new = delivery.release_of(team.runs("prod-batch-endpoint")[-1].path)["version"]
    assert int(new) > 1
    rows = {row["traffic"]: row["model"] for row in delivery.deployments(team.folder, team.prod) if row["kind"] == "online"}
    assert rows == {"100 %": f"flight-delay:{new}", "0 %": "flight-delay:1"}
    assert delivery.champion(team.folder, team.prod["registry"]) == f"flight-delay:{new}"
    # An older release that comes late does not overtake.
    first = next(run for run in team.runs("prod-register-in-production") if run.record.get("result") == "Succeeded").id
    late = team.pipeline("prod-online-endpoint", "--yes", "--resource", f"upstream={first}")
    assert late.returncode == 1
    assert f"answers with version {new}, which is newer than 1: an older release does not overtake" in late.stdout + late.stderr
    assert team.pipeline("rollback-online-endpoint").returncode == 0
    assert delivery.champion(team.folder, team.prod["registry"]) == "flight-delay:1"
    assert team.ask()[0] == 200
    # What was rolled back does not come again by itself.
    again = team.pipeline("prod-online-endpoint", "--yes", "--resource", f"upstream={team.newest('prod-register-in-production')}")
    assert again.returncode == 1
    assert f"flight-delay:{new} was rolled back" in again.stdout + again.stderr
    # A rollback that was broken off before its tags is ended by the next one.
    az(team, "ml", "model", "update", "-n", "flight-delay", "-v", "1", "--registry-name", team.prod["registry"], "-g", "rg-lockgate-prod",
       "-w", "mlw-lockgate-prod", "--set", "tags.champion_now=no")  # fmt: skip
    done = team.pipeline("rollback-online-endpoint", "--logs")
    assert done.returncode == 0, done.stderr
    assert "an earlier rollback was broken off; its tags are put right" in done.stdout + done.stderr
    assert delivery.champion(team.folder, team.prod["registry"]) == "flight-delay:1"


def az(team, *words):
    done = subprocess.run([sys.executable, "-m", "lockgate.az", *words], cwd=team.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_kept_colour_is_retired_when_its_hours_are_over(team):
    place = ["-g", "rg-lockgate-prod", "-w", "mlw-lockgate-prod"]
    (kept,) = [name for name, share in team.traffic().items() if share == "0 %"]
    identifier = az(
        team,
        "ml",
        "online-deployment",
        "show",
        "-n",
        kept,
        "--endpoint-name",
        team.prod["online_endpoint"],
        *place,
        "--query",
        "id",
        "-o",
        "tsv",
    )
    tag = ["tag", "update", "--resource-id", identifier.strip(), "--operation", "Merge", "--tags"]
    az(team, *tag, "kept_until=2999-01-01T00:00Z")
    assert team.pipeline("retire-online-deployment").returncode == 0
    assert kept in team.traffic()
    az(team, *tag, "kept_until=2020-01-01T00:00Z")
    done = team.pipeline("retire-online-deployment", "--logs")
    assert done.returncode == 0, done.stderr
    assert f"{kept} is retired" in done.stdout + done.stderr
    assert list(team.traffic().values()) == ["100 %"]
    back = team.pipeline("rollback-online-endpoint")
    assert back.returncode == 1
    assert "there is nothing to go back to" in back.stdout + back.stderr
    assert team.ask()[0] == 200
