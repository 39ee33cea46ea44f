"""The delivery on the desk, end to end, on the flight data: from a commit to production, and every way in which it must stop.

One repository for all tests, in their order, as a team's is: what one leaves behind, the next one finds.
"""

from __future__ import annotations

import http.client
import json
import os
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

    @property
    def prod(self) -> delivery.Place:
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
    done = team.call("up", "--plain", "--seconds", "5")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    names = [run.record["pipeline"] for run in team.runs()]
    assert names == [
        "dev-model-training", "stage-register-in-staging", "stage-model-testing", "stage-batch-endpoint", "stage-online-endpoint",
        "prod-register-in-production", "prod-online-endpoint", "prod-batch-endpoint",
    ]  # fmt: skip
    assert {run.record["result"] for run in team.runs()} == {"Succeeded"}
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
    (record,) = [json.loads(path.read_text()) for path in (Runs(team.folder).find(6).path / "approvals").glob("*.json")]
    assert (record["state"], record["how"]) == ("approved", "--yes")
    assert record["by"]


def test_an_unchanged_second_time_deploys_nothing_again(team):
    before = len(team.runs())
    done = team.call("up", "--plain", "--seconds", "5")
    assert done.returncode == 0, done.stderr
    assert "unchanged since run 8" in done.stdout
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
        done = team.call("up", "--plain", "--seconds", "4")
    finally:
        team.git("checkout", "-q", "main")
    assert done.returncode == 0, done.stdout[-2000:]
    assert "refs/heads/feature/main is not refs/heads/main: the release stops after dev" in done.stdout
    assert [run.record["pipeline"] for run in team.runs() if run.id not in before] == ["dev-model-training"]


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
    assert "failed while testing the new deployment; traffic goes back to blue" in done.stdout + done.stderr
    assert (team.live(), set(answers)) == ("blue", {200})


def test_a_colour_that_failed_is_nothing_to_go_back_to(team):
    done = team.pipeline("rollback-online-endpoint")
    assert done.returncode == 1
    assert "there is nothing to go back to: deployment green never answered with all traffic" in done.stdout + done.stderr
    assert team.live() == "blue"
    assert delivery.champion(team.folder, team.prod["registry"]) == "flight-delay:1"


def test_a_canary_with_errors_is_rolled_back_and_no_caller_sees_one(team):
    # It answers the smoke test, and breaks down under load.
    old = '    if _scorer is None:\n        raise RuntimeError("call init() first")\n    return _scorer.score(raw)'
    new = "    global _count\n    _count += 1\n    if _count > 60:\n        import os\n        os._exit(9)\n    return _scorer.score(raw)\n\n\n_count = 0"
    team.edit("data-science/src/score.py", old, new)
    with team.caller() as answers:
        done = release(team)
    team.git("revert", "--no-edit", "HEAD")
    assert done.returncode == 1, done.stdout[-2000:]
    assert "traffic goes back to blue" in done.stdout + done.stderr
    assert team.live() == "blue"
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
