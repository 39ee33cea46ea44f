"""100,000 requests during 20 changes of traffic and a deployment killed: none is lost but those that the dead process had."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from lockgate.serving.http import ClientConnection

pytestmark = pytest.mark.long

REQUESTS = 100_000
CALLERS = 8
DEPLOYMENT = """\
name: {name}
endpoint_name: ep1
code_configuration: {{code: code, scoring_script: score.py}}
environment: {{image: minimal}}
environment_variables: {{WORD: {name}}}
instance_type: x
request_settings: {{max_concurrent_requests_per_instance: 8}}
"""


def az(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "lockgate.az", *words],
        cwd=folder,
        env={**os.environ, "LOCKGATE_ROOT": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def endpoint(tmp_path):
    (tmp_path / ".lockgate").mkdir()
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "score.py").write_text("import os\nasync def run(raw): return [os.environ['WORD'], os.getpid()]\n")
    az(tmp_path, "group", "create", "-n", "rg", "-l", "here")
    az(tmp_path, "ml", "workspace", "create", "-n", "ws1", "-g", "rg")
    az(tmp_path, "configure", "--defaults", "group=rg", "workspace=ws1")
    az(tmp_path, "ml", "online-endpoint", "create", "-n", "ep1")
    for name in ("blue", "green"):
        (tmp_path / f"{name}.yml").write_text(DEPLOYMENT.format(name=name))
        az(tmp_path, "ml", "online-deployment", "create", "-f", f"{name}.yml")
    az(tmp_path, "ml", "online-endpoint", "update", "-n", "ep1", "--traffic", "blue=50 green=50")
    yield tmp_path
    az(tmp_path, "ml", "online-endpoint", "delete", "-n", "ep1", "--yes")


async def ask_all(folder: Path) -> tuple[Counter[int], list[dict[str, str]]]:
    uri = json.loads(az(folder, "ml", "online-endpoint", "show", "-n", "ep1"))["scoring_uri"]
    port = int(uri.split(":")[2].split("/")[0])
    key = json.loads(az(folder, "ml", "online-endpoint", "get-credentials", "-n", "ep1"))["primaryKey"]
    request = f"POST /score HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-length: 2\r\n\r\n{{}}".encode()
    loop = asyncio.get_running_loop()
    statuses: Counter[int] = Counter()
    lost: list[dict[str, str]] = []
    processes: dict[str, int] = {}
    left = REQUESTS

    async def caller() -> None:
        nonlocal left
        _, connection = await loop.create_connection(lambda: ClientConnection(lambda _: None), "127.0.0.1", port)
        while left > 0:
            left -= 1
            future = loop.create_future()
            connection.send(request, lambda response, error, future=future: future.set_result((response, error)))
            response, error = await future
            if response is None:
                lost.append({"error": repr(error)})
                _, connection = await loop.create_connection(lambda: ClientConnection(lambda _: None), "127.0.0.1", port)
                continue
            statuses[response.status] += 1
            if response.status == 200:
                word, process = json.loads(response.body)
                processes[word] = process
        connection.close()

    async def disturb() -> None:
        for step in range(20):
            wait = REQUESTS * (20 - step) // 22
            while left > wait:
                await asyncio.sleep(0.005)
            if step == 10:
                os.kill(processes["green"], signal.SIGKILL)
            share = (10, 90, 0, 50)[step % 4]
            await asyncio.to_thread(
                az, folder, "ml", "online-endpoint", "update", "-n", "ep1", "--traffic", f"blue={100 - share} green={share}"
            )

    await asyncio.gather(disturb(), *(caller() for _ in range(CALLERS)))
    return statuses, lost


def test_no_request_is_lost(endpoint):
    statuses, lost = asyncio.run(ask_all(endpoint))
    print(f"statuses {dict(statuses)}, lost {len(lost)}")
    assert lost == []
    assert sum(statuses.values()) == REQUESTS
    assert set(statuses) <= {200, 502}
    # What the dead process had: no more than callers.
    assert statuses[502] <= CALLERS
    logs = az(endpoint, "ml", "online-deployment", "get-logs", "-n", "green", "-e", "ep1", "-o", "tsv")
    assert "was ended by signal SIGKILL" in logs
    counted = json.loads((endpoint / ".lockgate/workspaces/ws1/endpoints/ep1/counts.json").read_text())
    assert sum(found.get("502", 0) for found in counted.values()) == statuses[502]
