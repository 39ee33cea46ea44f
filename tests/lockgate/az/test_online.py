"""Online endpoints: real processes behind a real router, driven by `az` and by HTTP."""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import subprocess
import threading
import time
from contextlib import contextmanager

import pytest

from lockgate.workspace.endpoints import mark, process_of
from lockgate.workspace.store import Store

SCORE = """\
import json, os, time

def init():
    global word
    word = os.environ.get("WORD", "none")
    print("init of", word)

def run(raw):
    asked = json.loads(raw)
    if asked.get("sleep"):
        time.sleep(asked["sleep"])
    if asked.get("fail"):
        raise ValueError("no such thing")
    if asked.get("die"):
        os._exit(7)
    return {"word": word, "pid": os.getpid(), "rows": len(asked.get("input_data", []))}
"""
DEPLOYMENT = """\
name: {name}
endpoint_name: ep1
model: azureml:m:1
code_configuration: {{code: code, scoring_script: score.py}}
environment: {{image: minimal}}
environment_variables: {{WORD: {name}}}
instance_type: Standard_DS2_v2
instance_count: {instances}
request_settings: {{max_concurrent_requests_per_instance: {concurrency}, request_timeout_ms: {timeout}}}
"""


class Service:
    """A desk with an endpoint `ep1`."""

    def __init__(self, cloud):
        self.cloud = cloud
        cloud.write("code/score.py", SCORE)
        cloud.get("ml", "model", "create", "--name", "m", "--path", "model")
        self.create()

    def create(self, *words):
        made = self.cloud.get("ml", "online-endpoint", "create", "--name", "ep1", *words)
        self.port = int(made["scoring_uri"].split(":")[2].split("/")[0])
        self.headers = {"Authorization": f"Bearer {self.key()}"}

    def key(self, which="primaryKey"):
        return self.cloud.get("ml", "online-endpoint", "get-credentials", "--name", "ep1").get(which, "")

    def file(self, name, instances=1, concurrency=4, timeout=5000, more=""):
        self.cloud.write(f"{name}.yml", DEPLOYMENT.format(name=name, instances=instances, concurrency=concurrency, timeout=timeout) + more)
        return f"{name}.yml"

    def deploy(self, name="blue", *words, **settings):
        return self.cloud.get("ml", "online-deployment", "create", "--file", self.file(name, **settings), *words)

    def traffic(self, text, *words):
        return self.cloud.get("ml", "online-endpoint", "update", "--name", "ep1", "--traffic", text, *words)

    def call(self, body=b"{}", path="/score", method="POST", **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body if isinstance(body, bytes) else json.dumps(body).encode(), {**self.headers, **headers})
            answer = connection.getresponse()
            return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}
        finally:
            connection.close()

    def answered(self):
        """An answer that is a 200; None for any other."""
        found = self.call()
        return found if found[0] == 200 else None

    def shown_as(self, state):
        """The deployment blue once it is in a state."""
        found = self.cloud.get("ml", "online-deployment", "show", "--name", "blue", "--endpoint-name", "ep1")
        return found if found["provisioning_state"] == state else None

    def done(self, verb, *words):
        """A command on the endpoint that went well; None if it did not."""
        found = self.cloud.az("ml", "online-endpoint", verb, "--name", "ep1", *words)
        return found if found.returncode == 0 else None

    def word(self, **headers):
        status, body, _ = self.call(**headers)
        assert status == 200, body
        return json.loads(body)["word"]

    def logs(self, name="blue"):
        return self.cloud.az("ml", "online-deployment", "get-logs", "--name", name, "--endpoint-name", "ep1", "-o", "tsv").stdout

    @property
    def store(self):
        return Store(self.cloud.folder, "dev1")


@pytest.fixture
def service(cloud):
    service = Service(cloud)
    yield service
    cloud.az("ml", "online-endpoint", "delete", "--name", "ep1", "--yes")
    assert processes_of(service) == []


@pytest.fixture(scope="module")
def standing(shared):
    """An endpoint for tests that change nothing: blue has all traffic, green none."""
    service = Service(shared)
    service.deploy("blue", "--all-traffic")
    service.deploy("green")
    yield service
    service.cloud.az("ml", "online-endpoint", "delete", "--name", "ep1", "--yes")


def processes_of(service):
    """Processes that carry the endpoint's mark, and its own."""
    found = subprocess.run(["pgrep", "-af", str(service.cloud.folder)], capture_output=True, text=True, check=False).stdout.splitlines()
    return [line for line in found if "endpoint_process" in line or mark(service.store, "ep1") in line]


def until(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
    return found


# Deployments -----------------------------------------------------------------------------------------------------------------


def test_a_deployment_answers_after_its_command_has_ended(service):
    made = service.deploy("blue", "--all-traffic")
    assert (made["provisioning_state"], made["model"]) == ("Succeeded", "azureml:m:1")
    status, body, headers = service.call({"input_data": [{}, {}]})
    assert (status, json.loads(body)["word"], json.loads(body)["rows"]) == (200, "blue", 2)
    assert headers["azureml-model-deployment"] == "blue"
    assert headers["x-ms-request-id"]
    assert service.cloud.get("ml", "online-endpoint", "show", "--name", "ep1")["traffic"] == {"blue": 100}
    assert "init of blue" in service.logs()


@pytest.mark.long
def test_the_model_lies_where_azure_puts_it(service):
    service.cloud.write(
        "code/score.py",
        "import os\ndef init(): pass\ndef run(raw):\n    top = os.environ['AZUREML_MODEL_DIR']\n"
        "    return [os.path.relpath(os.path.join(f, n), top) for f, _, names in os.walk(top, followlinks=True) for n in names]\n",
    )
    service.deploy("blue", "--all-traffic")
    status, body, _ = service.call()
    assert status == 200
    assert sorted(json.loads(body)) == ["model/MLmodel", "model/data/weights.bin"]


@pytest.mark.long
def test_secrets_of_the_one_who_deploys_do_not_reach_the_model(service):
    service.cloud.write("code/score.py", "import os\ndef run(raw): return dict(os.environ)\n")
    done = service.cloud.az("ml", "online-deployment", "create", "--file", service.file("blue"), "--all-traffic", MY_SECRET="hush")
    assert done.returncode == 0, done.stderr
    found = json.loads(service.call()[1])
    assert "MY_SECRET" not in found
    assert found["WORD"] == "blue"


def test_a_deployment_that_does_not_start_says_why_and_gets_no_traffic(service):
    service.cloud.write("code/score.py", "import no_such_module\n")
    said = service.cloud.refused(1, "ml", "online-deployment", "create", "--file", service.file("blue"))
    assert said.startswith(
        "(ResourceNotReady) deployment 'blue' of endpoint 'ep1' did not become ready: instance 1 ended with exit code 1, 3 times"
    )
    assert "No module named 'no_such_module'" in said
    shown = service.cloud.get("ml", "online-deployment", "show", "--name", "blue", "--endpoint-name", "ep1")
    assert shown["provisioning_state"] == "Failed"
    said = service.cloud.refused(1, "ml", "online-endpoint", "update", "--name", "ep1", "--traffic", "blue=100")
    assert "has never been ready" in said
    assert service.call()[0] == 404


@pytest.mark.long
def test_an_update_that_fails_leaves_what_was_there(service):
    service.deploy("blue", "--all-traffic")
    service.cloud.write("code/score.py", "raise SystemExit('broken on purpose')\n")
    said = service.cloud.refused(1, "ml", "online-deployment", "update", "--file", "blue.yml")
    assert "broken on purpose" in said
    assert "Revision 1 goes on answering" in said
    assert service.word() == "blue"
    os.kill(process_of(service.store, "ep1"), signal.SIGKILL)
    until(lambda: process_of(service.store, "ep1") is None)
    service.cloud.write("r.json", "{}")
    until(lambda: "blue" in service.cloud.az("ml", "online-endpoint", "invoke", "--name", "ep1", "--request-file", "r.json").stdout)


@pytest.mark.long
def test_an_update_drops_no_request(service):
    service.deploy("blue", "--all-traffic")
    with callers(service, 2) as answers:
        service.cloud.get("ml", "online-deployment", "update", "--file", service.file("blue", instances=2))
        service.cloud.get(
            "ml", "online-deployment", "update", "--name", "blue", "--endpoint-name", "ep1", "--set", "environment_variables.WORD=green"
        )
    assert {status for status, _ in answers} == {200}
    assert service.word() == "green"


def test_a_process_that_dies_is_started_again(service):
    service.deploy("blue", "--all-traffic")
    first = json.loads(service.call()[1])["pid"]
    assert service.call({"die": True})[0] == 502
    again = json.loads(until(service.answered)[1])["pid"]
    assert again != first
    assert "ended with exit code 7" in service.logs()
    assert "is started again in 0.2 s" in service.logs()


@pytest.mark.long
def test_a_process_that_dies_again_and_again_fails_the_deployment(service):
    service.cloud.write(
        "code/score.py", "import os, threading\ndef init(): threading.Timer(0.2, os._exit, [9]).start()\ndef run(raw): return 1\n"
    )
    service.deploy("blue", "--all-traffic")
    shown = until(lambda: service.shown_as("Failed"), 40)
    assert "ended with exit code 9, 6 times in a row" in shown["error"]
    assert service.call()[0] == 503


@pytest.mark.long
def test_a_deployment_with_traffic_is_not_deleted(service):
    service.deploy("blue", "--all-traffic")
    said = service.cloud.refused(1, "ml", "online-deployment", "delete", "--name", "blue", "--endpoint-name", "ep1", "--yes")
    assert "has 100 % of the traffic" in said
    service.traffic("blue=0")
    service.cloud.get("ml", "online-deployment", "delete", "--name", "blue", "--endpoint-name", "ep1", "--yes")
    assert service.cloud.get("ml", "online-deployment", "list", "--endpoint-name", "ep1") == []
    assert service.call()[0] == 404


# Traffic ------------------------------------------------------------------------------------------------------------------------


def test_traffic_is_split_as_asked(service):
    service.deploy("blue", "--all-traffic")
    service.deploy("green")
    service.traffic("blue=90 green=10")
    words = [service.word() for _ in range(200)]
    assert words.count("green") in (19, 20, 21)
    assert service.word(**{"azureml-model-deployment": "green"}) == "green"
    assert service.call(**{"azureml-model-deployment": "red"})[0] == 404
    service.traffic("green=100", "--set", "tags.a=b")
    assert {service.word() for _ in range(20)} == {"green"}


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--traffic", "blue=50"], "traffic sums to 50 %"),
        (["--traffic", "red=100"], "there is no deployment 'red'"),
        (["--mirror-traffic", "green=60"], "at most 50 %"),
        (["--mirror-traffic", "blue=10"], "never live and mirrored at once"),
        (["--set", "traffic.blue=90"], "traffic sums to 90 %"),
    ],
)
def test_traffic_that_azure_refuses_is_refused(standing, words, why):
    assert why in standing.cloud.refused(1, "ml", "online-endpoint", "update", "--name", "ep1", *words)
    assert standing.word() == "blue"


@pytest.mark.parametrize("text", ["blue", "blue=x", "=5", "blue=101", "blue=-1"])
def test_traffic_that_is_none_is_a_wrong_argument(standing, text):
    assert "allowed: DEPLOYMENT=PERCENT" in standing.cloud.refused(
        2, "ml", "online-endpoint", "update", "--name", "ep1", f"--traffic={text}"
    )


@pytest.mark.long
def test_mirrored_traffic_is_answered_by_the_live_deployment_alone(service):
    service.deploy("blue", "--all-traffic")
    service.deploy("green")
    service.cloud.get("ml", "online-endpoint", "update", "--name", "ep1", "--mirror-traffic", "green=50")
    assert {service.word() for _ in range(40)} == {"blue"}
    counts = service.store.folder / "endpoints" / "ep1" / "counts.json"
    until(lambda: json.loads(counts.read_text()).get("green", {}).get("200") in (19, 20, 21))


# Callers -------------------------------------------------------------------------------------------------------------------------


def test_a_key_is_asked_for(service):
    service.deploy("blue", "--all-traffic")
    assert service.call(Authorization="Bearer wrong")[0] == 401
    assert service.call(Authorization="Basic eA==")[0] == 403
    assert service.call(Authorization="Bearer ")[0] == 403
    assert service.call(Authorization=f"Bearer {service.key('secondaryKey')}")[0] == 200
    old = dict(service.headers)
    service.cloud.get("ml", "online-endpoint", "regenerate-keys", "--name", "ep1", "--key-type", "primary")
    until(lambda: service.call(**old)[0] == 401)
    service.headers = {"Authorization": f"Bearer {service.key()}"}
    assert service.call()[0] == 200


def test_keys_are_readable_by_their_owner_alone(standing):
    assert (standing.store.folder / "endpoints" / "ep1" / "keys.json").stat().st_mode & 0o077 == 0


@pytest.mark.long
def test_tokens_end(service):
    service.cloud.get("ml", "online-endpoint", "delete", "--name", "ep1", "--yes")
    service.create("--auth-mode", "aad_token")
    service.deploy("blue", "--all-traffic")
    found = service.cloud.get("ml", "online-endpoint", "get-credentials", "--name", "ep1")
    assert 3500 < found["expiryTimeUtc"] - time.time() <= 3600
    assert service.call(Authorization=f"Bearer {found['accessToken']}")[0] == 200
    ends, _, signature = found["accessToken"].partition(".")
    assert service.call(Authorization=f"Bearer {int(ends) + 1}.{signature}")[0] == 401
    assert service.call(Authorization=f"Bearer {int(time.time()) - 1}.{signature}")[0] == 401
    assert "has no keys" in service.cloud.refused(1, "ml", "online-endpoint", "regenerate-keys", "--name", "ep1")


def test_what_the_model_refuses_is_a_424_with_its_own_status(standing):
    status, body, headers = standing.call({"fail": True})
    assert (status, body) == (424, b"no such thing")
    assert headers["ms-azureml-model-error-statuscode"] == "500"
    assert "ValueError: no such thing" in standing.logs()


@pytest.mark.long
def test_a_slow_answer_is_a_408_and_the_next_one_is_its_own(service):
    service.deploy("blue", "--all-traffic", timeout=300)
    assert service.call({"sleep": 0.6})[0] == 408
    time.sleep(0.5)
    assert service.call({"input_data": [1]})[0:1] == (200,)


@pytest.mark.long
def test_too_many_at_once_are_told_so(service):
    service.deploy("blue", "--all-traffic", concurrency=1)
    found = []
    threads = [threading.Thread(target=lambda: found.append(service.call({"sleep": 0.4})[0])) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # One at work and one that waits; the others are more than 2 x concurrency x instances.
    assert sorted(found) == [200, 200, 429, 429, 429, 429]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 200), ("GET", "/swagger.json", 200), ("GET", "/metrics", 404), ("OPTIONS", "/score", 200), ("DELETE", "/score", 424)],
)
def test_routes(standing, method, path, status):
    got, body, _ = standing.call(b"", path, method)
    assert got == status
    if path == "/swagger.json":
        assert "/score" in json.loads(body)["paths"]


def test_what_is_no_http_is_refused_and_the_router_goes_on(standing):
    import socket

    for junk in (
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET\r\n\r\n",
        b"POST /score HTTP/1.1\r\ncontent-length: 999999999999\r\n\r\n",
        b"GET /" + b"x" * 80_000,
    ):
        with socket.create_connection(("127.0.0.1", standing.port), timeout=10) as connection:
            connection.sendall(junk)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(100)
            assert answer[:13] in (b"HTTP/1.1 400 ", b"HTTP/1.1 413 ", b"HTTP/1.1 431 ")
    assert standing.word() == "blue"


def test_requests_sent_ahead_are_answered_in_order(standing):
    import socket

    def one(rows):
        body = json.dumps({"input_data": [0] * rows})
        head = f"POST /score HTTP/1.1\r\nhost: x\r\nauthorization: {standing.headers['Authorization']}\r\ncontent-length: {len(body)}"
        return f"{head}\r\n\r\n{body}"

    with socket.create_connection(("127.0.0.1", standing.port), timeout=10) as connection:
        connection.sendall("".join(one(rows) for rows in range(30)).encode())
        data = b""
        while data.count(b'"rows"') < 30:
            data += connection.recv(65536)
    assert [int(piece.split(b"}")[0]) for piece in data.split(b'"rows": ')[1:]] == list(range(30))


@pytest.mark.long
def test_data_are_collected_when_asked_for(service):
    more = "data_collector:\n  collections:\n    model_inputs: {enabled: 'True'}\n    model_outputs: {enabled: 'True'}\n    request: {enabled: 'False'}\n"
    service.deploy("blue", "--all-traffic", more=more)
    _, _, headers = service.call({"input_data": [{"a": 1}]})
    folder = service.store.folder / "endpoints" / "ep1" / "blue" / "data"

    def collected():
        found = [json.loads(line) for path in folder.rglob("*.jsonl") for line in path.read_text().splitlines()]
        return found if len(found) > 1 else None  # One file is written after the other.

    lines = until(collected)
    assert sorted(line["type"] for line in lines) == ["azureml.inference.model_inputs", "azureml.inference.model_outputs"]
    assert {line["correlationid"] for line in lines} == {headers["x-ms-request-id"]}
    assert next(line for line in lines if line["type"].endswith("inputs"))["data"] == [{"a": 1}]


# The process ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_a_killed_router_is_started_by_the_next_command_on_the_same_port(service):
    service.deploy("blue", "--all-traffic")
    os.kill(process_of(service.store, "ep1"), signal.SIGKILL)
    until(lambda: process_of(service.store, "ep1") is None)
    service.cloud.write("r.json", "{}")
    said = until(lambda: service.done("invoke", "--request-file", "r.json"))
    assert "blue" in said.stdout
    assert service.word() == "blue"


@pytest.mark.long
def test_two_that_deploy_at_once_get_one_result_each(service):
    files = [service.file(name) for name in ("blue", "green")]
    done = []
    threads = [
        threading.Thread(target=lambda file=file: done.append(service.cloud.az("ml", "online-deployment", "create", "--file", file)))
        for file in files
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.returncode for one in done] == [0, 0], [one.stderr for one in done]
    assert [one["name"] for one in service.cloud.get("ml", "online-deployment", "list", "--endpoint-name", "ep1")] == ["blue", "green"]


def test_names_are_azures(standing):
    for name in ("a", "1abc", "-abc", "abc-", "x" * 33, "../x", "a b"):
        assert "allowed: 3 to 32 letters" in standing.cloud.refused(1, "ml", "online-endpoint", "create", f"--name={name}")
    assert "already an endpoint" in standing.cloud.refused(1, "ml", "online-endpoint", "create", "--name", "EP1")


# Dockerfiles -----------------------------------------------------------------------------------------------------------------------

SERVER = """\
import http.server, json, os, sys

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self): self.answer({"ok": True})
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.answer({"cwd": os.getcwd(), "route": self.path, "words": sys.argv[1:], "hello": os.environ["HELLO"], "model": os.environ["AZUREML_MODEL_DIR"]})
    def answer(self, what):
        body = json.dumps(what).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
DOCKERFILE = """\
FROM mcr.microsoft.com/azureml/minimal:1
ARG WHO=world
ENV HELLO="hello ${WHO}" \\
    PORT=8099
WORKDIR /app
COPY server.py .
EXPOSE 8099
CMD ["python", "server.py", "--flag"]
"""
CONTAINER = """\
name: blue
endpoint_name: ep1
model: azureml:m:1
environment:
  build: {path: image}
  inference_config:
    liveness_route: {port: 8099, path: /live}
    readiness_route: {port: 8099, path: /ready}
    scoring_route: {port: 8099, path: /v1/score}
instance_type: x
"""


def test_a_dockerfiles_command_is_a_process(service):
    service.cloud.write("image/server.py", SERVER)
    service.cloud.write("image/Dockerfile", DOCKERFILE)
    service.cloud.write("blue.yml", CONTAINER)
    service.cloud.get("ml", "online-deployment", "create", "--file", "blue.yml", "--all-traffic")
    found = json.loads(service.call()[1])
    assert (found["route"], found["words"], found["hello"]) == ("/v1/score", ["--flag"], "hello world")
    assert found["cwd"].endswith("/app")
    assert found["model"].endswith("/models/m/1")
    assert "does not carry out FROM" in service.logs()


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (
            'CMD ["python", "server.py", "--flag"]',
            "CMD python server.py",
            "Dockerfile:8:1: CMD: found 'python server.py', which is in shell form",
        ),
        ('CMD ["python", "server.py", "--flag"]', "", "has neither CMD nor ENTRYPOINT"),
        ("PORT=8099", "PORT=8098", "port 8099 of inference_config stands in neither CMD nor ENV"),
        ("WORKDIR", "WORKDIRR", "Dockerfile:5:1: found the instruction WORKDIRR"),
    ],
)
def test_a_dockerfile_that_no_process_can_be_made_of_is_refused(standing, old, new, why):
    before = standing.cloud.get("ml", "online-deployment", "list", "--endpoint-name", "ep1")
    standing.cloud.write("image/Dockerfile", DOCKERFILE.replace(old, new))
    standing.cloud.write("image/server.py", SERVER)
    standing.cloud.write("blue.yml", CONTAINER)
    assert why in standing.cloud.refused(1, "ml", "online-deployment", "create", "--file", "blue.yml")
    assert standing.cloud.get("ml", "online-deployment", "list", "--endpoint-name", "ep1") == before


# Mistakes of files -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("azureml:m:1", "azureml:m:2", "blue.yml:3:8: workspace 'dev1' has no model m:2"),
        ("azureml:m:1", "nowhere", "blue.yml:3:8: model: there is no file or folder 'nowhere'"),
        ("score.py", "other.py", "there is no file 'other.py' in 'code'"),
        ("code: code", "code: nowhere", "there is no folder 'nowhere'"),
        ("{image: minimal}", "{}", "found neither image nor build"),
        ("{image: minimal}", "azureml:e:1", "has no environment e:1"),
        ("instance_count: 1", "instance_count: 0", "blue.yml:8:17: instance_count: found '0'; allowed: 1 or more"),
        ("instance_type", "instance_typ", "did you mean 'instance_type'?"),
        ("code_configuration", "code_config", "unknown key 'code_config'"),
        ("endpoint_name: ep1", "endpoint_name: ep2", "online endpoint 'ep2' was not found"),
    ],
)
def test_mistakes_are_said_with_their_place(standing, old, new, why):
    before = standing.cloud.get("ml", "online-deployment", "list", "--endpoint-name", "ep1")
    path = standing.file("blue")
    standing.cloud.write(path, (standing.cloud.folder / path).read_text().replace(old, new))
    done = standing.cloud.az("ml", "online-deployment", "create", "--file", path)
    assert done.returncode in (1, 3)
    assert why in done.stderr
    assert standing.cloud.get("ml", "online-deployment", "list", "--endpoint-name", "ep1") == before


@contextmanager
def callers(service, count):
    """Callers that ask all the time; their answers."""
    answers, stop = [], threading.Event()

    def ask():
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
        while not stop.is_set():
            connection.request("POST", "/score", b"{}", service.headers)
            answer = connection.getresponse()
            answers.append((answer.status, answer.read()))
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert len(answers) > 20


def test_tokens_are_of_one_endpoint():
    from lockgate.serving import tokens

    token, ends = tokens.make("ep1", "secret", now=1000.0)
    assert ends == 4600
    assert tokens.refuse(token, "ep1", "secret", now=4599.0) == ""
    assert "expired" in tokens.refuse(token, "ep1", "secret", now=4600.0)
    assert tokens.refuse(token, "ep2", "secret", now=1001.0)
    assert tokens.refuse(token, "ep1", "other", now=1001.0)
    for junk in ("", ".", "x.y", "9" * 50 + ".x", base64.b64encode(b"x").decode()):
        assert tokens.refuse(junk, "ep1", "secret")


# Found in review ------------------------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_a_command_that_is_not_there_fails_the_deployment_with_the_reason(service):
    service.cloud.write("image/Dockerfile", DOCKERFILE.replace('"python"', '"nosuchprogram"'))
    service.cloud.write("image/server.py", SERVER)
    service.cloud.write("blue.yml", CONTAINER)
    said = service.cloud.refused(1, "ml", "online-deployment", "create", "--file", "blue.yml")
    assert "instance 1 can't be started: [Errno 2] No such file or directory: 'nosuchprogram'" in said


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("{WORD: blue}", '{"A=B": x}', "found the name 'A=B'; allowed: letters, digits and '_'"),
        ("{WORD: blue}", '{A: "x\\0y"}', "allowed: a text without NUL"),
        ("instance_count: 1", "instance_count: 100000", "cores: allowed here: 1 to "),
        ("instance_type:", "model_mount_path: /x\ninstance_type:", "model_mount_path is not supported on the desk"),
        (
            "instance_type:",
            "data_collector: {collections: {request: {enabled: 'true'}}, rolling_rate: day}\ninstance_type:",
            "allowed on the desk: hour",
        ),
    ],
)
def test_what_can_not_be_obeyed_is_refused_before_anything_starts(standing, old, new, why):
    path = standing.file("other")
    text = (standing.cloud.folder / path).read_text().replace("WORD: other", "WORD: blue")
    assert old in text
    standing.cloud.write(path, text.replace(old, new))
    assert why in standing.cloud.refused(1, "ml", "online-deployment", "create", "--file", path)
    names = [one["name"] for one in standing.cloud.get("ml", "online-deployment", "list", "--endpoint-name", "ep1")]
    assert names == ["blue", "green"]


def test_an_instance_count_that_the_machine_has_not_is_refused_on_the_command_line_too(standing):
    words = ("ml", "online-deployment", "update", "--name", "blue", "--endpoint-name", "ep1", "--set", "instance_count=100000")
    assert "allowed on this machine: a whole number from 1 to" in standing.cloud.refused(2, *words)


def test_a_container_listens_on_this_machine_alone(service):
    text = DOCKERFILE.replace("PORT=8099", "PORT=8099 HOST=0.0.0.0")
    service.cloud.write("image/Dockerfile", text)
    service.cloud.write("image/server.py", SERVER.replace('("127.0.0.1", int', '(os.environ["HOST"], int'))
    service.cloud.write("blue.yml", CONTAINER)
    service.cloud.get("ml", "online-deployment", "create", "--file", "blue.yml", "--all-traffic")
    listening = subprocess.run(["ss", "-ltnH"], capture_output=True, text=True, check=False).stdout
    port = service.logs().split("starts on port ")[1].split(":")[0]
    assert f"127.0.0.1:{port}" in listening or not listening
    assert f"0.0.0.0:{port} " not in listening


@pytest.mark.long
def test_changes_made_at_once_are_all_kept(service):
    service.deploy("blue", "--all-traffic")
    change = ("ml", "online-deployment", "update", "--name", "blue", "--endpoint-name", "ep1", "--set")
    threads = [threading.Thread(target=service.cloud.az, args=(*change, f"tags.t{n}={n}")) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shown = service.cloud.get("ml", "online-deployment", "show", "--name", "blue", "--endpoint-name", "ep1")
    assert shown["tags"] == {f"t{n}": str(n) for n in range(6)}


@pytest.mark.long
def test_an_endpoint_is_made_again_only_once_the_old_one_is_gone(service):
    service.deploy("blue", "--all-traffic")
    slow = threading.Thread(target=service.call, args=({"sleep": 2},))
    slow.start()
    delete = threading.Thread(target=service.cloud.az, args=("ml", "online-endpoint", "delete", "--name", "ep1", "--yes"))
    delete.start()
    until(
        lambda: (
            service.cloud.az("ml", "online-endpoint", "show", "--name", "ep1", "--query", "provisioning_state", "-o", "tsv").stdout.strip()
            in ("Deleting", "")
        )
    )
    done = until(lambda: service.done("create"))
    delete.join()
    slow.join()
    assert json.loads(done.stdout)["scoring_uri"]
    assert service.cloud.get("ml", "online-endpoint", "get-credentials", "--name", "ep1")["primaryKey"]


@pytest.mark.long
def test_names_know_no_case(service):
    service.deploy("blue", "--all-traffic")
    service.cloud.write("Blue.yml", (service.cloud.folder / "blue.yml").read_text().replace("name: blue\n", "name: Blue\n", 1))
    service.cloud.get("ml", "online-deployment", "update", "--file", "Blue.yml")
    assert [one["name"] for one in service.cloud.get("ml", "online-deployment", "list", "--endpoint-name", "ep1")] == ["blue"]


def test_thousands_of_requests_sent_ahead_are_answered_one_after_the_other(standing):
    import socket

    with socket.create_connection(("127.0.0.1", standing.port), timeout=30) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * 3000)
        data = b""
        while data.count(b"HTTP/1.1 403") < 3000:
            data += connection.recv(1 << 20)
    log = standing.store.folder / "endpoints" / "ep1" / "router.txt"
    assert "RecursionError" not in log.read_text()


def test_an_offer_to_upgrade_is_refused_in_words(standing):
    status, body, _ = standing.call(Connection="Upgrade, HTTP2-Settings", Upgrade="h2c", **{"HTTP2-Settings": "AAMAAABkAAQCAAAAAAIAAAAA"})
    assert (status, body) == (400, b"an upgrade of the protocol is not offered; send plain HTTP/1.1 without the header Upgrade")


@pytest.mark.long
def test_after_a_restart_traffic_finds_its_deployment_at_once(service):
    service.deploy("blue", "--all-traffic")
    os.kill(process_of(service.store, "ep1"), signal.SIGKILL)
    until(lambda: process_of(service.store, "ep1") is None)
    service.cloud.write("r.json", "{}")
    done = service.cloud.az("ml", "online-endpoint", "invoke", "--name", "ep1", "--request-file", "r.json")
    assert done.returncode == 0, done.stderr


@pytest.mark.long
def test_auth_modes_are_written_as_azure_lets_them(cloud):
    assert cloud.get("ml", "online-endpoint", "create", "--name", "ep2", "--auth-mode", "AADToken")["auth_mode"] == "aad_token"
    cloud.get("ml", "online-endpoint", "delete", "--name", "ep2", "--yes")


def test_a_deployment_is_not_created_under_a_name_that_is_taken(service):
    """As in Azure; a release that makes it anew deletes it first."""
    service.deploy()
    said = service.cloud.refused(1, "ml", "online-deployment", "create", "--file", service.file("blue"))
    assert "deployment 'blue' of endpoint 'ep1' already exists; change it with az ml online-deployment update, or delete it first" in said


def test_tags_of_the_resource_itself_change_without_a_new_process(service):
    made = service.deploy()
    before = json.loads(service.call()[1])["pid"] if service.traffic("blue=100") else None
    found = service.cloud.get("tag", "update", "--resource-id", made["id"], "--operation", "Merge", "--tags", "kept_until=2030", "a=b")
    assert found["properties"]["tags"]["kept_until"] == "2030"
    shown = service.cloud.get("ml", "online-deployment", "show", "--name", "blue", "--endpoint-name", "ep1")
    assert (shown["tags"]["kept_until"], shown["tags"]["a"]) == ("2030", "b")
    service.cloud.get("tag", "update", "--resource-id", made["id"], "--operation", "Delete", "--tags", "a=b")
    shown = service.cloud.get("ml", "online-deployment", "show", "--name", "blue", "--endpoint-name", "ep1")
    assert "a" not in shown["tags"]
    assert json.loads(service.call()[1])["pid"] == before
    assert "was not found" in service.cloud.refused(
        3, "tag", "update", "--resource-id", "/nowhere", "--operation", "Merge", "--tags", "a=b"
    )


def test_a_workspace_that_is_deleted_takes_its_endpoints_processes_along(service):
    service.deploy()
    store = Store(service.cloud.folder, "dev1")
    process = process_of(store, "ep1")
    assert process is not None
    done = service.cloud.az("ml", "workspace", "delete", "--name", "dev1", "--resource-group", "rg", "--yes")
    assert done.returncode == 0, done.stderr
    left = subprocess.run(["pgrep", "-f", str(service.cloud.folder)], capture_output=True, text=True, check=False).stdout
    assert left == ""
