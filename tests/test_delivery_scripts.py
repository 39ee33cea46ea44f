"""The scripts of aml-cli-v2 by their command lines: check_endpoint.py against a real server, model_manifest.py over real folders."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.long
SCRIPTS = Path(__file__).parents[1] / "aml-cli-v2" / "scripts"
KEY = "a-key-that-nobody-prints"
ROWS = [{"a": 1.0, "b": 2, "c": "x"}, {"a": 2.5, "b": 4, "c": "y"}, {"a": -1.0, "b": 0, "c": "x"}]
SCALE = 10.0
"""A deviation of the target; answers may differ by a thousandth of it."""


def predict(row: dict[str, Any]) -> float:
    return 2 * float(row["a"]) + row["b"]


# The server


class Answer:
    """What a server answers: to rows that keep the contract, and to others."""

    def __init__(self, change: float = 0.0, status: int = 200, who: str | None = None, body: bytes | None = None) -> None:
        self.change = change
        self.status = status
        self.who = who
        self.body = body

    def to(self, body: bytes) -> tuple[int, bytes]:
        if self.body is not None or self.status != 200:
            return self.status, self.body if self.body is not None else b'{"error": "it is broken"}'
        rows = json.loads(body)["input_data"]
        if any(value is None for row in rows for value in row.values()):
            return 400, b'{"error": {"code": "BadRequest"}}'
        return 200, json.dumps({"predictions": [predict(row) + self.change for row in rows]}).encode()


class Endpoint(ThreadingHTTPServer):
    """A server whose answers a test decides."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer: Callable[[int, dict[str, str]], Answer] = lambda number, headers: Answer()
        self.keeps = 10**9
        """Answers per connection; then it is closed, without saying so before."""
        self.delay = 0.0
        self.asked: list[dict[str, str]] = []
        self.connections = 0
        self.lock = threading.Lock()
        self.never = threading.Event()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/score"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Endpoint

    def setup(self) -> None:
        super().setup()
        self.answered = 0
        with self.server.lock:
            self.server.connections += 1

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        with self.server.lock:
            number = len(self.server.asked)
            self.server.asked.append({**headers, ":path": self.path})
        self.server.never.wait(self.server.delay)
        answer = self.server.answer(number, headers)
        status, text = answer.to(body)
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        if answer.who is not None:
            self.send_header("azureml-model-deployment", answer.who)
        self.end_headers()
        self.wfile.write(text)
        self.answered += 1
        if self.answered >= self.server.keeps:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    server = Endpoint()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A downloaded model, some folders down."""
    folder = tmp_path / "model" / "flight-delay"
    folder.mkdir(parents=True)
    (folder / "input_example.json").write_text(json.dumps({"input_data": ROWS}))
    (folder / "expected.json").write_text(json.dumps({"native": [predict(row) for row in ROWS], "scale": SCALE}))
    columns = [{"name": "a", "type": "number"}, {"name": "b", "type": "integer"}, {"name": "c", "type": "category"}]
    (folder / "contract.json").write_text(json.dumps({"columns": [*columns, {"name": "target", "type": "number"}]}))
    return tmp_path / "model"


def check(kind: str, uri: str, model: Path, *arguments: object, key: str = KEY) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPTS / "check_endpoint.py"), kind, "--uri", uri, "--model", str(model), *map(str, arguments)]
    environment = {**os.environ, "ENDPOINT_KEY": key}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert KEY not in done.stdout + done.stderr
    return done


def lines(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What was printed, each line a verdict; and no traceback."""
    assert "Traceback" not in done.stderr, done.stderr
    found = done.stdout.splitlines()
    assert all(re.match(r"(passed|FAILED)  \w+", line) for line in found)
    assert (done.returncode == 0) == (not [line for line in found if line.startswith("FAILED")]), done.stdout + done.stderr
    return found


# smoke


def test_right_answers_pass_and_every_request_has_key_and_deployment(endpoint, model):
    endpoint.answer = lambda number, headers: Answer(who="blue")
    done = check("smoke", endpoint.uri, model, "--deployment", "blue")
    assert done.returncode == 0
    assert lines(done) == [
        "passed  answers: 3 rows, equal to the native model within tolerance",
        "passed  contract: a row without values is answered 400",
    ]
    for asked in endpoint.asked:
        assert asked["authorization"] == f"Bearer {KEY}"
        assert asked["azureml-model-deployment"] == "blue"
        assert asked["content-type"] == "application/json"
        assert asked[":path"] == "/score"


def test_without_a_deployment_traffic_decides(endpoint, model):
    assert check("smoke", endpoint.uri, model).returncode == 0
    assert not [asked for asked in endpoint.asked if "azureml-model-deployment" in asked]


@pytest.mark.parametrize(
    ("change", "code"), [(0.9e-3 * SCALE, 0), (-0.9e-3 * SCALE, 0), (1.1e-3 * SCALE, 1), (-1.1e-3 * SCALE, 1), (5.0, 1)]
)
def test_an_answer_may_differ_by_a_thousandth_of_the_target_s_deviation(change, code, endpoint, model):
    endpoint.answer = lambda number, headers: Answer(change=change)
    done = check("smoke", endpoint.uri, model)
    assert done.returncode == code
    found = lines(done)
    assert len(found) == 2
    if code:
        assert re.fullmatch(r"FAILED  answers: 3 rows, row 0: [-\d.]+ instead of 4\.0", found[0])


@pytest.mark.parametrize(
    "body",
    [
        b'{"predictions": [NaN, NaN, NaN]}',
        b'{"predictions": [Infinity, 9.0, -2.0]}',
        b'{"predictions": [4.0, 9.0]}',
        b'{"predictions": [4.0, 9.0, -2.0, 1.0]}',
        b'{"predictions": []}',
        b"{}",
        b'{"predictions": [4.0, null, -2.0]}',
        b'{"predictions": ["4.0", "9.0", "-2.0"]}',
        b'{"error": "it is broken"}',
        b"[4.0, 9.0, -2.0]",
        b"<html>a proxy says hello</html>",
        b"",
    ],
)
def test_an_answer_that_is_none_fails_with_one_line(body, endpoint, model):
    endpoint.answer = lambda number, headers: Answer(body=body) if number == 0 else Answer()
    done = check("smoke", endpoint.uri, model)
    assert done.returncode == 1
    assert lines(done)[0].startswith("FAILED  answers: ")


@pytest.mark.parametrize("status", [401, 404, 429, 500, 503])
def test_an_error_fails_with_status_and_reason(status, endpoint, model):
    endpoint.answer = lambda number, headers: Answer(status=status)
    done = check("smoke", endpoint.uri, model)
    assert done.returncode == 1
    assert lines(done) == [f'FAILED  answers: {status} {{"error": "it is broken"}}']


def test_an_answer_of_another_deployment_fails(endpoint, model):
    endpoint.answer = lambda number, headers: Answer(who="green")
    done = check("smoke", endpoint.uri, model, "--deployment", "blue")
    assert done.returncode == 1
    assert lines(done) == ["FAILED  deployment: green answered, asked was blue"]


@pytest.mark.parametrize(("status", "body", "code"), [(200, None, 1), (424, b'{"error": 1}', 0), (400, b"", 1), (500, b'{"error": 1}', 1)])
def test_a_row_that_breaks_the_contract_has_to_be_refused(status, body, code, endpoint, model):
    answer = Answer(status=status, body=body if status != 200 else b'{"predictions": [0.0]}')
    endpoint.answer = lambda number, headers: Answer() if number == 0 else answer
    done = check("smoke", endpoint.uri, model)
    assert done.returncode == code
    assert lines(done)[1] == f"{'FAILED' if code else 'passed'}  contract: a row without values is answered {status}"


def test_a_kept_connection_that_was_closed_is_no_failure(endpoint, model):
    endpoint.keeps = 1
    assert check("smoke", endpoint.uri, model).returncode == 0
    assert endpoint.connections >= 2


def test_nobody_there_fails_with_one_line(model):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        done = check("smoke", f"http://127.0.0.1:{closed.getsockname()[1]}/score", model)
    assert done.returncode == 1
    assert len(lines(done)) == 1
    assert lines(done)[0].startswith("FAILED  answers: 0 ")


def test_probabilities_of_a_classification_are_compared_by_class(endpoint, model):
    expected = {"native": [[0.25, 0.75], [0.5, 0.5], [1.0, 0.0]], "scale": 1.0}
    (model / "flight-delay" / "expected.json").write_text(json.dumps(expected))

    def body(first: float) -> bytes:
        rows = [[first, 1 - first], [0.5, 0.5], [1.0, 0.0]]
        return json.dumps({"predictions": ["b", "a", "a"], "probabilities": [{"a": a, "b": b} for a, b in rows]}).encode()

    for first, code in ((0.2505, 0), (0.26, 1)):
        count = len(endpoint.asked)
        endpoint.answer = lambda number, headers, count=count, first=first: Answer(body=body(first)) if number == count else Answer()
        assert check("smoke", endpoint.uri, model).returncode == code


@pytest.mark.parametrize(("called", "wrong"), [(["b", None, "a"], None), (["a", "a", "a"], "row 0: called 'b' instead of 'a'")])
def test_classes_are_compared_too_where_one_is_clearly_ahead(called, wrong, endpoint, model):
    """Rows may be called by something else than the largest probability, which the probabilities alone do not tell."""
    rows = [[0.25, 0.75], [0.5, 0.5], [1.0, 0.0]]
    (model / "flight-delay" / "expected.json").write_text(json.dumps({"native": rows, "scale": 1.0, "called": called}))
    body = json.dumps({"predictions": ["b", "b", "a"], "probabilities": [{"a": a, "b": b} for a, b in rows]}).encode()
    endpoint.answer = lambda number, headers: Answer(body=body) if number == 0 else Answer()
    done = check("smoke", endpoint.uri, model)
    assert done.returncode == (1 if wrong else 0)
    assert not wrong or wrong in lines(done)[0]
    for labels in (["b"], "b", None):
        short = json.dumps({"predictions": labels, "probabilities": [{"a": a, "b": b} for a, b in rows]}).encode()
        endpoint.answer = lambda number, headers, short=short: Answer(body=short)
        assert "no class for every row" in lines(check("smoke", endpoint.uri, model))[0]


def test_without_a_key_it_says_so(endpoint, model):
    done = check("smoke", endpoint.uri, model, key="")
    assert done.returncode == 1
    assert done.stderr == "ENDPOINT_KEY is not set; it holds the endpoint's key or token\n"
    assert endpoint.asked == []


def test_a_folder_without_a_model_is_named(endpoint, tmp_path):
    (tmp_path / "empty").mkdir()
    done = check("smoke", endpoint.uri, tmp_path / "empty")
    assert done.returncode == 1
    assert done.stderr.endswith("empty: holds no input_example.json; pass the folder of a downloaded model\n")


# load


def load(endpoint: Endpoint, model: Path, *arguments: object, seconds: float = 30, workers: int = 2) -> subprocess.CompletedProcess[str]:
    return check("load", endpoint.uri, model, "--seconds", seconds, "--workers", workers, *arguments)


def counted(done: subprocess.CompletedProcess[str]) -> int:
    found = re.search(r"requests: (\d+) answered", done.stdout)
    assert found is not None, done.stdout + done.stderr
    return int(found[1])


def test_it_stops_after_the_answers_that_were_wanted(endpoint, model):
    done = load(endpoint, model, "--answers", 20, "--min-answers", 20)
    assert done.returncode == 0
    assert 20 <= counted(done) <= 21
    assert lines(done)[1] == "passed  errors: 0.00% (none), at most 0.00%"
    assert len(endpoint.asked) == counted(done)


def test_it_stops_after_the_seconds_that_were_given(endpoint, model):
    done = load(endpoint, model, seconds=0.2)
    assert done.returncode == 0
    assert counted(done) == len(endpoint.asked) > 0


def test_too_few_answers_fail(endpoint, model):
    done = load(endpoint, model, "--min-answers", 10**6, seconds=0.2)
    assert done.returncode == 1
    assert re.fullmatch(r"FAILED  requests: \d+ answered, at least 1000000 are needed", lines(done)[0])


@pytest.mark.parametrize(("limit", "code"), [(0, 1), (0.05, 1), (0.25, 0)])
def test_the_share_of_errors_is_judged(limit, code, endpoint, model):
    endpoint.answer = lambda number, headers: Answer(status=503 if number % 10 == 3 else 200)
    done = load(endpoint, model, "--answers", 40, "--max-errors", limit)
    assert done.returncode == code
    assert re.fullmatch(rf"(passed|FAILED)  errors: \d+\.\d\d% \({{'503': \d+}}\), at most {limit:.2%}", lines(done)[1])


def test_slow_answers_fail_by_their_95th_percentile(endpoint, model):
    endpoint.delay = 0.05
    done = load(endpoint, model, "--answers", 8, "--max-p95-ms", 20)
    assert done.returncode == 1
    assert re.fullmatch(r"FAILED  latency: p95 \d+\.\d ms, at most 20 ms", lines(done)[2])
    assert load(endpoint, model, "--answers", 8, "--max-p95-ms", 20_000).returncode == 0


def test_connections_that_are_closed_under_load_are_no_errors(endpoint, model):
    endpoint.keeps = 3
    done = load(endpoint, model, "--answers", 30)
    assert done.returncode == 0, done.stdout
    assert endpoint.connections >= 10


def test_nobody_there_is_an_error_of_each_request(model):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{closed.getsockname()[1]}/score"
        done = check("load", uri, model, "--seconds", 30, "--workers", 1, "--answers", 5)
    assert done.returncode == 1
    assert lines(done)[1] == "FAILED  errors: 100.00% ({'0': 5}), at most 0.00%"


def share(canary: Answer, live: Answer) -> Callable[[int, dict[str, str]], Answer]:
    """Every fourth answer is the canary's, whoever asks."""
    return lambda number, headers: canary if number % 4 == 0 else live


def test_a_canary_is_judged_by_its_own_answers_only(endpoint, model):
    endpoint.answer = share(Answer(who="green"), Answer(status=500, who="blue"))
    done = load(endpoint, model, "--canary", "green", "--answers", 10, "--min-answers", 10)
    assert done.returncode == 0, done.stdout
    assert 10 <= counted(done) <= 11
    assert len(endpoint.asked) > 3 * counted(done)
    assert not [asked for asked in endpoint.asked if "azureml-model-deployment" in asked]


def test_a_canary_that_fails_is_found_among_the_right_answers_of_the_other(endpoint, model):
    endpoint.answer = share(Answer(status=500, who="green"), Answer(who="blue"))
    done = load(endpoint, model, "--canary", "green", "--answers", 10, "--min-answers", 10)
    assert done.returncode == 1
    assert re.fullmatch(r"FAILED  errors: 100\.00% \(\{'500': 1[01]\}\), at most 0\.00%", lines(done)[1])


def test_a_canary_that_nobody_reaches_has_too_few_answers(endpoint, model):
    endpoint.answer = lambda number, headers: Answer(who="blue")
    done = load(endpoint, model, "--canary", "green", "--answers", 10, "--min-answers", 10, seconds=0.3)
    assert done.returncode == 1
    assert lines(done)[0] == "FAILED  requests: 0 answered, at least 10 are needed"
    assert len(endpoint.asked) > 0


def test_answers_that_do_not_say_whose_they_are_are_not_a_canary_s(endpoint, model):
    """Else a release would be judged by the answers of the old model."""
    done = load(endpoint, model, "--canary", "green", "--answers", 10, "--min-answers", 10, seconds=0.3)
    assert done.returncode == 1


# compare


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    """A scored file and what a batch run answered, in two parts: right, and one row refused."""
    folder = tmp_path / "batch"
    (folder / "answers" / "part").mkdir(parents=True)
    rows = [{"a": n / 4, "b": n, "c": "x", "left_out": n} for n in range(450)]
    text = ["a,b,c,left_out", *(f"{row['a']},{row['b']},{row['c']},{row['left_out']}" for row in rows)]
    (folder / "rows.csv").write_text("\n".join(text) + "\n")
    found = [{"row": n, "prediction": predict(row)} if n != 7 else {"row": n, "error": "no"} for n, row in enumerate(rows)]
    for name, part in (("a.jsonl", found[:300]), ("part/b.jsonl", found[300:])):
        (folder / "answers" / name).write_text("".join(json.dumps(line) + "\n" for line in part))
    return folder


def compare(endpoint: Endpoint, model: Path, batch: Path) -> subprocess.CompletedProcess[str]:
    return check("compare", endpoint.uri, model, "--answers-of-batch", batch / "answers", "--rows", batch / "rows.csv")


def test_equal_answers_of_batch_and_endpoint_pass(endpoint, model, batch):
    done = compare(endpoint, model, batch)
    assert done.returncode == 0, done.stdout + done.stderr
    assert lines(done) == ["passed  batch: 449 rows compared with online answers, 0 differ"]


def test_one_row_that_differs_is_named(endpoint, model, batch):
    path = batch / "answers" / "part" / "b.jsonl"
    path.write_text(path.read_text().replace('{"row": 310, "prediction": 465.0}', '{"row": 310, "prediction": 465.5}'))
    done = compare(endpoint, model, batch)
    assert done.returncode == 1
    assert lines(done) == ["FAILED  batch: 449 rows compared with online answers, 1 differ: row 310: 465.0 online, 465.5 in the batch"]


def test_no_answers_of_a_batch_fail(endpoint, model, batch):
    for path in (batch / "answers").rglob("*.jsonl"):
        path.unlink()
    done = compare(endpoint, model, batch)
    assert done.returncode == 1
    assert lines(done) == ["FAILED  batch: 0 answers for 450 rows of rows.csv"]


def test_an_error_of_the_endpoint_names_the_rows(endpoint, model, batch):
    endpoint.answer = lambda number, headers: Answer(status=500 if number == 1 else 200)
    done = compare(endpoint, model, batch)
    assert done.returncode == 1
    assert lines(done) == ['FAILED  rows 201 to 400: 500 {"error": "it is broken"}']


@pytest.mark.parametrize("predictions", [[], [1.5], [math.nan] * 449])
def test_answers_that_are_missing_or_no_numbers_differ(predictions, endpoint, model, batch):
    endpoint.answer = lambda number, headers: (
        Answer(body=json.dumps({"predictions": predictions[:200]}).encode()) if number == 1 else Answer()
    )
    assert compare(endpoint, model, batch).returncode == 1


# model_manifest.py


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A downloaded model with a right manifest."""
    folder = tmp_path / "downloaded" / "flight-delay"
    for name, text in (("MLmodel", "flavors: {}"), ("model.onnx", "onnx" * 1000), ("code/tabular/a.py", "a = 1"), ("empty", "")):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    files = {path.relative_to(folder).as_posix(): digest(path) for path in sorted(folder.rglob("*")) if path.is_file()}
    (folder / "manifest.json").write_text(json.dumps({"files": files}))
    return folder


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def manifest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPTS / "model_manifest.py"), str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    assert len((done.stdout + done.stderr).splitlines()) == 1
    return done


def refused(folder: Path, *arguments: str) -> str:
    done = manifest(folder, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr.rstrip("\n")


def test_a_right_model_prints_its_manifest_s_hash(package):
    found = digest(package / "manifest.json")
    for folder in (package, package.parent):
        for arguments in ((), ("--expect", found)):
            done = manifest(folder, *arguments)
            assert (done.returncode, done.stdout, done.stderr) == (0, f"{found}\n", "")


@pytest.mark.parametrize("name", ["model.onnx", "code/tabular/a.py", "MLmodel"])
def test_one_changed_byte_names_the_file(name, package):
    data = bytearray((package / name).read_bytes())
    data[-1] ^= 1
    (package / name).write_bytes(data)
    assert refused(package.parent) == f"{name}: has other bytes than the manifest lists; this is not the model that was registered"


def test_a_file_that_was_added_is_named(package):
    (package / "code" / "evil.py").write_text("")
    assert refused(package.parent) == "code/evil.py: is not in the manifest; this is not the model that was registered"


def test_a_file_that_is_missing_is_named(package):
    (package / "empty").unlink()
    assert refused(package.parent) == "empty: is in the manifest and not there; this is not the model that was registered"


def test_another_manifest_than_the_one_expected_is_refused(package):
    found, expected = digest(package / "manifest.json"), "0" * 64
    assert refused(package, "--expect", expected) == (
        f"manifest.json: SHA-256 is {found}, expected was {expected}; this is not the model that was registered"
    )


def test_two_models_and_none_are_refused(package, tmp_path):
    other = package.parent / "other"
    other.mkdir()
    (other / "manifest.json").write_text('{"files": {}}')
    assert refused(package.parent) == f"{package.parent}: holds 2 files manifest.json; allowed: one model"
    (tmp_path / "none").mkdir()
    assert refused(tmp_path / "none") == f"{tmp_path / 'none'}: holds 0 files manifest.json; allowed: one model"
    assert refused(tmp_path / "nowhere").endswith("nowhere: holds 0 files manifest.json; allowed: one model")


@pytest.mark.parametrize("text", ["", "not JSON", "[]", "{}", '{"files": []}'])
def test_a_manifest_that_is_damaged_is_refused_with_one_line(text, package):
    (package / "manifest.json").write_text(text)
    assert "manifest.json" in refused(package.parent)


def test_what_a_registry_adds_when_a_model_is_downloaded_is_passed_over(package):
    """As the scoring path passes it over: both read the same folder."""
    (package / "registered_model_meta").write_text("model_name: flight-delay\n")
    assert manifest(package.parent).returncode == 0


# release_notes.py

TIMELINE = {
    "records": [
        {"id": "s1", "parentId": None, "type": "Stage", "name": "Release"},
        {"id": "c1", "parentId": "s1", "type": "Checkpoint", "name": "Checkpoint"},
        {"id": "a1", "parentId": "c1", "type": "Checkpoint.Approval", "name": "Checkpoint.Approval"},
        {"id": "a2", "parentId": "lost", "type": "Checkpoint.Approval", "name": "Checkpoint.Approval"},
        {"id": "t1", "parentId": "s1", "type": "Task", "name": "Bash"},
    ]
}
APPROVALS = {
    "value": [
        {"id": "a1", "steps": [
            {"status": "approved", "actualApprover": {"displayName": "Ann | B"}, "lastModifiedOn": "2026-01-02T03:04:05Z", "comment": "looks\ngood"},
            {"status": "pending", "assignedApprover": {"displayName": "Carl"}},
        ]},
        {"id": "a2", "steps": [{"status": "rejected", "actualApprover": {"displayName": "Dora"}, "lastModifiedOn": "2026-01-02T04:00:00Z"}]},
        {"id": "a3"},
    ]
}  # fmt: skip


def release_notes(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPTS / "release_notes.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def asked(tmp_path):
    """A run's timeline and approvals, and the release that it hands on."""
    (tmp_path / "timeline.json").write_text(json.dumps(TIMELINE))
    (tmp_path / "approvals.json").write_text(json.dumps(APPROVALS))
    release = {"model": "m", "version": "7", "summary": "PASSED it is", "sha256": "ab", "commit": "c0ffee"}
    (tmp_path / "release.json").write_text(json.dumps(release))
    return tmp_path


def test_the_approvals_of_a_run_are_found_in_its_timeline(asked):
    assert release_notes("ids", asked / "timeline.json").stdout == "a1,a2\n"
    (asked / "timeline.json").write_text('{"records": null}')
    assert release_notes("ids", asked / "timeline.json").stdout == "\n"


def write_notes(asked: Path, run_number: str) -> list[dict[str, str]]:
    done = release_notes(
        "notes", asked / "timeline.json", asked / "approvals.json", asked, "--pipeline", "prod-online-endpoint", "--run", run_number
    )
    assert (done.returncode, done.stderr) == (0, "")
    return list(json.loads((asked / "release.json").read_text())["approvals"])


def test_notes_say_who_answered_what_and_when(asked):
    found = write_notes(asked, "20260102.1")
    assert [(one["what"], one["status"], one["by"], one["at"]) for one in found] == [
        ("Release", "approved", "Ann | B", "2026-01-02T03:04:05Z"),
        ("Checkpoint.Approval", "rejected", "Dora", "2026-01-02T04:00:00Z"),
    ]
    notes = (asked / "notes.md").read_text()
    assert "| prod-online-endpoint | 20260102.1 | Release | approved | Ann \\| B | 2026-01-02T03:04:05Z | looks good |" in notes
    assert "| commit | c0ffee |" in notes


def test_a_run_that_is_tried_again_is_listed_once_and_another_one_beside_it(asked):
    write_notes(asked, "1")
    assert len(write_notes(asked, "1")) == 2
    assert len(write_notes(asked, "2")) == 4


def test_notes_of_a_run_that_asked_nobody_say_so(asked):
    (asked / "approvals.json").write_text('{"value": []}')
    write_notes(asked, "1")
    assert "Nobody was asked so far." in (asked / "notes.md").read_text()


# asset.py


def asset(path: Path) -> tuple[str, str]:
    done = subprocess.run([sys.executable, str(SCRIPTS / "asset.py"), str(path)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    name, version = done.stdout.splitlines()
    return name, version


@pytest.mark.parametrize(
    "text",
    [
        "$schema: https://example.org/x.json\nname: rows\ndescription: >-\n  many\n  lines\npath: data\n",
        "name: 'rows'\npath: data # theirs\n",
        '# first\n---\nname: "rows" # ours\ntype: uri_folder\npath: data\n',
        "name: rows\nbuild: {path: data}\n",
        "name: rows\nbuild: {dockerfile_path: D, path: 'data'}\n",
        "name: rows\nbuild:\n  path: data\n  dockerfile_path: D\ntags: {a: b}\n",
        "name: rows\nconda_file: data\n",
    ],
)
def test_the_version_of_an_asset_is_its_content(tmp_path, text):
    """A folder's names and bytes count, however the file names it."""
    (tmp_path / "asset.yml").write_text(text)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a b.txt").write_text("x")
    name, first = asset(tmp_path / "asset.yml")
    assert (name, len(first)) == ("rows", 12)
    assert asset(tmp_path / "asset.yml") == (name, first)
    (tmp_path / "data" / "a b.txt").write_text("y")
    _, changed = asset(tmp_path / "asset.yml")
    (tmp_path / "data" / "a b.txt").rename(tmp_path / "data" / "c.txt")
    assert len({first, changed, asset(tmp_path / "asset.yml")[1]}) == 3


def test_what_lies_elsewhere_counts_by_its_address(tmp_path):
    for path in ("azureml://datastores/d/paths/x", "azureml:other:1", "https://example.org/x.csv"):
        (tmp_path / "asset.yml").write_text(f"name: rows\npath: {path}\n")
        assert asset(tmp_path / "asset.yml")[0] == "rows"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path: data\n", "name: found ''; allowed: letters"),
        ("name: a b\n", "name: found 'a b'"),
        ("name: rows\npath: nowhere\n", "path: there is no "),
        ("what is this\n", "asset.yml:1: found 'what is this'; allowed: key: value"),
    ],
)
def test_an_asset_that_is_wrong_is_one_sentence(tmp_path, text, said):
    (tmp_path / "asset.yml").write_text(text)
    command = [sys.executable, str(SCRIPTS / "asset.py"), str(tmp_path / "asset.yml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


# verdict.py


def test_the_verdict_shows_checks_figures_and_bars_in_proportion(tmp_path):
    decision = {
        "passed": False,
        "summary": "m is bad",
        "checks": [{"passed": True, "sentence": "fine"}, {"passed": False, "sentence": "not fine"}],
    }
    one = {"metrics": {"rmse": {"value": 10.0}}, "importance": {"a": 4.0, "b": 1.0, "c": 0.0}}
    metrics = {
        "metric": "rmse",
        "unit": "min",
        "rows": 1200,
        "winner": "m",
        "candidates": {"m": one, "f": {"metrics": {"rmse": {"value": 20.0}}}},
        "champion": None,
    }
    (tmp_path / "decision.json").write_text(json.dumps(decision))
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    command = [sys.executable, str(SCRIPTS / "verdict.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "### REFUSED: m is bad"
    assert lines[2:4] == ["- ✔ fine", "- ✘ not fine"]
    assert "**rmse on 1,200 unseen rows**" in lines
    bars = {line.split()[0]: line.count("█") for line in lines if "█" in line}
    assert bars == {"m": 12, "f": 24, "a": 24, "b": 6}
    assert any(line.startswith("m ") and line.endswith("10 min") for line in lines)
    assert any(line.split()[:2] == ["c", "0"] for line in lines)
    (tmp_path / "metrics.json").unlink()
    again = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "✘ not fine" in again.stdout
