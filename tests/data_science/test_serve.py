"""serve.py as Azure starts it: a process of its own, asked over HTTP."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from data_science.conftest import Flight
from data_science.support import DATA, PROJECT, SOURCE
from tabular.scoring import Scorer

PATIENCE = 60.0
"""Seconds after which what should come never will."""
REQUEST = json.loads((DATA / "request.json").read_text())
ROWS: list[dict[str, Any]] = REQUEST["input_data"]
BODY = json.dumps(REQUEST).encode()


def wait_until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {PATIENCE:g} s in vain for: {what}")
        time.sleep(0.02)


class Server:
    """serve.py over a package, with what it printed."""

    def __init__(self, package: Path, log: Path, *arguments: object, python: tuple[str, ...] = ()) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "AZUREML_", "PYTHONPATH"))}
        command = [sys.executable, *python, str(SOURCE / "serve.py"), "--port", str(self.port), *map(str, arguments)]
        self.log = log
        with log.open("w", encoding="utf-8") as stream:
            self.process = subprocess.Popen(
                command, cwd=log.parent, env={**inherited, "AZUREML_MODEL_DIR": str(package)}, stdout=stream, stderr=stream
            )

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def listens(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5):
                return True
        except OSError:
            return False

    def wait_for_start(self) -> Server:
        wait_until(lambda: self.listens() or self.process.poll() is not None, "the server to start")
        assert self.process.poll() is None, self.text()
        return self

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes, dict[str, str]]:
        connection = self.connect()
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}
        finally:
            connection.close()

    def score(self, *rows: Any) -> tuple[int, Any]:
        status, body, _ = self.ask("POST", "/score", json.dumps({"input_data": list(rows)}).encode())
        return status, json.loads(body)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Slow:
    """A request whose body is sent when the test says so. The server has taken it up once it says 100 Continue."""

    def __init__(self, server: Server, body: bytes = BODY) -> None:
        self.body = body
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
        head = f"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
        self.socket.sendall(head.encode())
        self.stream = self.socket.makefile("rb")
        assert self.stream.readline().startswith(b"HTTP/1.1 100")
        assert self.stream.readline() == b"\r\n"

    def finish(self) -> tuple[int, bytes]:
        self.socket.sendall(self.body)
        answer = http.client.HTTPResponse(self.socket)
        answer.begin()
        found = answer.status, answer.read()
        self.close()
        return found

    def close(self) -> None:
        self.stream.close()
        self.socket.close()


@pytest.fixture(scope="module")
def server(flight: Flight, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with what it does without options."""
    started = Server(flight.package, tmp_path_factory.mktemp("serve") / "log.txt")
    try:
        yield started.wait_for_start()
    finally:
        started.stop()


@pytest.fixture
def serve(flight: Flight, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers with options, and stops them."""
    started: list[Server] = []

    def start(*arguments: object, package: Path = flight.package, python: tuple[str, ...] = ()) -> Server:
        started.append(Server(package, tmp_path / f"log-{len(started)}.txt", *arguments, python=python))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture(scope="module")
def expected(flight: Flight) -> dict[str, Any]:
    return Scorer(flight.package).score(BODY)


# Answers


def test_it_is_healthy(server: Server) -> None:
    assert server.ask("GET", "/")[:2] == (200, b"Healthy")
    assert server.ask("HEAD", "/")[:2] == (200, b"")


def test_an_answer_is_that_of_score_run(server: Server, expected: dict[str, Any]) -> None:
    status, body, headers = server.ask("POST", "/score", BODY)
    assert (status, json.loads(body)) == (200, expected)
    assert headers["content-type"] == "application/json"
    assert len(expected["predictions"]) == len(ROWS)


def test_the_order_of_columns_does_not_matter(server: Server, expected: dict[str, Any]) -> None:
    turned = [dict(reversed(list(row.items()))) for row in ROWS]
    assert server.score(*turned) == (200, expected)
    names = sorted(ROWS[0])
    split = {"input_data": {"columns": names, "data": [[row[name] for name in names] for row in ROWS]}}
    status, body, _ = server.ask("POST", "/score", json.dumps(split).encode())
    assert (status, json.loads(body)) == (200, expected)


def test_a_body_in_pieces_is_answered_as_one(server: Server, expected: dict[str, Any]) -> None:
    pieces = [BODY[start : start + 700] for start in range(0, len(BODY), 700)]
    status, body, _ = server.ask("POST", "/score", iter(pieces))
    assert (status, json.loads(body)) == (200, expected)


def test_a_kept_connection_answers_again_and_again_whatever_was_asked(server: Server, expected: dict[str, Any]) -> None:
    asked = [("POST", "/score", BODY), ("POST", "/score", b"no"), ("GET", "/nowhere", None), ("POST", "/score", BODY)]
    found = []
    with contextlib.closing(server.connect()) as connection:
        for method, path, body in asked:
            connection.request(method, path, body)
            answer = connection.getresponse()
            found.append((answer.status, json.loads(answer.read())))
    assert [status for status, _ in found] == [200, 400, 404, 200]
    assert found[0][1] == found[3][1] == expected


# Refusals


@pytest.mark.parametrize(("field", "value"), [("distance", "far"), ("carrier", "XX"), ("dep_delay", 1e9), ("origin", None)])
def test_a_bad_row_is_refused_with_field_and_row_and_nothing_is_scored(server: Server, field: str, value: object) -> None:
    status, answer = server.score(ROWS[0], {**ROWS[1], field: value}, ROWS[2])
    assert status == 400
    assert "predictions" not in answer
    (problem,) = answer["error"]["problems"]
    assert (problem["row"], problem["field"]) == (1, field)
    assert problem["found"]
    assert problem["allowed"]


@pytest.mark.parametrize("body", [b"", b"not JSON", b'{"input_data": [', b"\xff\xfe", b"[]", b"null", b'{"input_data": []}'])
def test_what_is_no_request_is_refused_with_a_reason(server: Server, body: bytes) -> None:
    status, answer, headers = server.ask("POST", "/score", body)
    assert status == 400
    assert headers["content-type"] == "application/json"
    assert json.loads(answer)["error"]["problems"][0]["allowed"]


def test_another_method_or_path_is_refused(server: Server) -> None:
    status, body, headers = server.ask("GET", "/score")
    assert status == 405
    assert "POST" in headers["allow"]
    assert "GET /score" in json.loads(body)["error"]["message"]
    assert server.ask("POST", "/", b"")[0] == 405
    assert server.ask("DELETE", "/swagger.json")[0] == 405
    for path in ("/nowhere", "/score/", "/score/../etc", "//score"):
        status, body, _ = server.ask("POST", path, BODY)
        assert status == 404
        assert "/score" in json.loads(body)["error"]["message"]


def test_a_body_that_is_too_large_is_refused_however_it_is_sent(serve: Callable[..., Server]) -> None:
    server = serve("--largest", 1000).wait_for_start()
    large, small = b" " * 1001, json.dumps({"input_data": ROWS[:1]}).encode()
    assert len(small) <= 1000
    for body in (large, iter([large[:400], large[400:800], large[800:]])):
        status, answer, _ = server.ask("POST", "/score", body)
        assert status == 413
        assert "1,000 bytes" in json.loads(answer)["error"]["message"]
    assert server.ask("POST", "/score", small)[0] == 200
    assert server.ask("POST", "/score", small + b" " * (1000 - len(small)))[0] == 200


def test_by_default_a_body_that_the_request_s_own_limit_refuses_is_too_large(server: Server) -> None:
    """Two limits that differ would give one mistake two answers."""
    status, answer, _ = server.ask("POST", "/score", b" " * 5_000_001)
    assert status == 413, answer


def test_more_requests_at_once_than_allowed_are_told_to_come_again(serve: Callable[..., Server], expected: dict[str, Any]) -> None:
    server = serve("--concurrency", 1).wait_for_start()
    under_way = Slow(server)
    status, body, headers = server.ask("POST", "/score", BODY)
    assert status == 429
    assert headers["retry-after"] == "1"
    assert "more than 1 requests at once" in json.loads(body)["error"]["message"]
    assert server.ask("GET", "/")[:2] == (200, b"Healthy")
    status, body = under_way.finish()
    assert (status, json.loads(body)) == (200, expected)
    assert server.ask("POST", "/score", BODY)[0] == 200


def test_a_caller_that_hangs_up_leaves_room_for_the_next_and_no_traceback(serve: Callable[..., Server]) -> None:
    server = serve("--concurrency", 1).wait_for_start()
    Slow(server).close()
    wait_until(lambda: server.ask("POST", "/score", BODY)[0] == 200, "room for a request")
    server.stop()
    assert "Traceback" not in server.text(), server.text()


# Headers


def test_a_request_s_identifier_comes_back(server: Server) -> None:
    given = {"x_ms_request_id": "one-2", "x_ms_client_request_id": "client-3"}
    for method, path, body in [("POST", "/score", BODY), ("POST", "/score", b"no"), ("GET", "/", None), ("GET", "/nowhere", None)]:
        headers = server.ask(method, path, body, **given)[2]
        assert (headers["x-ms-request-id"], headers["x-ms-client-request-id"]) == ("one-2", "client-3")


def test_a_request_without_an_identifier_is_given_one_of_its_own(server: Server) -> None:
    found = [server.ask("GET", "/")[2] for _ in range(3)]
    assert len({headers["x-ms-request-id"] for headers in found}) == 3
    assert not [headers for headers in found if "x-ms-client-request-id" in headers]


# The API's description


def row_schema(server: Server) -> dict[str, Any]:
    status, body, headers = server.ask("GET", "/swagger.json")
    assert status == 200
    assert headers["content-type"] == "application/json"
    found = json.loads(body)
    schema = found["paths"]["/score"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    return dict(schema["properties"]["input_data"]["items"])


def test_swagger_is_an_openapi_document(server: Server) -> None:
    found = json.loads(server.ask("GET", "/swagger.json")[1])
    assert re.fullmatch(r"3\.1\.\d+", found["openapi"])
    assert found["info"]["title"] == "flight-delay"
    assert found["info"]["version"]
    assert set(found["paths"]) == {"/", "/score"}
    for path in found["paths"].values():
        for operation in path.values():
            assert all(answer["description"] for answer in operation["responses"].values())
    assert set(found["paths"]["/score"]["post"]["responses"]) == {"200", "400", "413", "429"}


def test_swagger_lists_exactly_the_columns_that_project_yml_asks_for(server: Server) -> None:
    columns = yaml.safe_load(PROJECT.read_text(encoding="utf-8"))["columns"]
    wanted = {
        name: column
        for name, column in columns.items()
        if name != "arr_delay" and column.get("feature", True) and not column.get("unknown_at_prediction")
    }
    found = row_schema(server)["properties"]
    assert set(found) == set(wanted) == set(ROWS[0])
    types = {"category": "string", "datetime": "string", "number": "number", "integer": "integer"}
    for name, column in wanted.items():
        schema, kind = found[name], types[column["type"]]
        assert schema["type"] == ([kind, "null"] if column.get("missing", True) else kind), name
        assert [schema.get("minimum"), schema.get("maximum")] == column.get("range", [None, None]), name
        assert schema.get("enum") == column.get("levels"), name
        assert column["description"] in schema["description"]
        assert column.get("unit", "") in schema["description"]


def test_swagger_says_which_fields_a_row_must_have(server: Server) -> None:
    """A field that may be left out by the document is not missed by the server, and the other way round."""
    required = set(row_schema(server)["required"])
    refused = {name for name in ROWS[0] if server.score({key: value for key, value in ROWS[0].items() if key != name})[0] == 400}
    assert required == refused


# Its life


def test_sigterm_lets_a_request_under_way_end(serve: Callable[..., Server], expected: dict[str, Any]) -> None:
    server = serve().wait_for_start()
    under_way = Slow(server)
    server.process.send_signal(signal.SIGTERM)
    wait_until(lambda: not server.listens(), "the server to take no more connections")
    assert server.process.poll() is None
    status, body = under_way.finish()
    assert (status, json.loads(body)) == (200, expected)
    assert server.process.wait(PATIENCE) == 0
    assert "Traceback" not in server.text()


def test_sigterm_ends_an_idle_server_with_a_kept_connection(serve: Callable[..., Server]) -> None:
    server = serve().wait_for_start()
    with contextlib.closing(server.connect()) as connection:
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"Healthy"
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE) == 0


@pytest.mark.parametrize("name", ["model.onnx", "contract.json", "recipe.json", "expected.json"])
def test_a_package_with_a_changed_byte_does_not_start_and_says_which_file(
    flight: Flight, serve: Callable[..., Server], tmp_path: Path, name: str
) -> None:
    package = tmp_path / "package"
    shutil.copytree(flight.package, package)
    data = bytearray((package / name).read_bytes())
    data[len(data) // 2] ^= 1
    (package / name).write_bytes(data)
    server = serve(package=package)
    assert server.process.wait(PATIENCE) not in (0, None)
    assert f"the bytes of {name} are not those of manifest.json" in server.text()
    assert "Traceback" not in server.text()


def test_without_a_model_it_does_not_start_and_says_why(serve: Callable[..., Server], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    server = serve(package=tmp_path / "empty")
    assert server.process.wait(PATIENCE) not in (0, None)
    assert "found 0 models in it" in server.text()


def test_a_port_that_is_taken_ends_it_with_a_reason(serve: Callable[..., Server]) -> None:
    first = serve().wait_for_start()
    second = serve("--port", first.port)
    assert second.process.wait(PATIENCE) not in (0, None)
    assert "address already in use" in second.text()


def test_the_package_may_lie_one_folder_down(
    flight: Flight, serve: Callable[..., Server], tmp_path: Path, expected: dict[str, Any]
) -> None:
    """As Azure mounts a registered model."""
    shutil.copytree(flight.package, tmp_path / "mounted" / "flight-delay")
    server = serve(package=tmp_path / "mounted").wait_for_start()
    assert server.score(*ROWS) == (200, expected)


def test_it_imports_neither_data_frames_nor_what_trained_the_model(serve: Callable[..., Server]) -> None:
    server = serve(python=("-X", "importtime")).wait_for_start()
    assert server.score(*ROWS)[0] == 200
    assert server.ask("GET", "/swagger.json")[0] == 200
    server.stop()
    imported = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in server.text().splitlines() if line.startswith("import time:")}
    assert {"numpy", "onnxruntime", "score", "tabular", "uvicorn"} <= imported
    unwanted = {"pandas", "polars", "narwhals", "pyarrow", "sklearn", "mlflow", "skops", "lightgbm", "catboost", "xgboost", "matplotlib"}
    assert not imported & (unwanted | {"yaml", "pickle5", "cloudpickle", "onnx"})
