"""The router of an online endpoint: what it adds to a request, beside the same request sent to the instance itself."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from lockgate.serving.http import ClientConnection

ROUNDS = 5
SCORE = "import json\ndef init(): pass\ndef run(raw): return {'predictions': [1.0]}\n"
BODY = json.dumps({"input_data": [{"a": 1, "b": "x"}]}).encode()


def az(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "lockgate.az", *words],
        cwd=folder,
        env={**os.environ, "LOCKGATE_ROOT": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stderr)
    return done.stdout


def prepare(folder: Path) -> tuple[int, int, str]:
    """An endpoint with one deployment: the router's port, the instance's, and a key."""
    (folder / ".lockgate").mkdir()
    (folder / "code").mkdir()
    (folder / "code" / "score.py").write_text(SCORE)
    (folder / "d.yml").write_text(
        "name: blue\nendpoint_name: bench\ncode_configuration: {code: code, scoring_script: score.py}\n"
        "environment: {image: minimal}\ninstance_type: x\nrequest_settings: {max_concurrent_requests_per_instance: 64}\n"
    )
    az(folder, "group", "create", "-n", "rg", "-l", "here")
    az(folder, "ml", "workspace", "create", "-n", "bench", "-g", "rg")
    az(folder, "configure", "--defaults", "group=rg", "workspace=bench")
    endpoint = json.loads(az(folder, "ml", "online-endpoint", "create", "-n", "bench"))
    az(folder, "ml", "online-deployment", "create", "-f", "d.yml", "--all-traffic")
    logs = az(folder, "ml", "online-deployment", "get-logs", "-n", "blue", "-e", "bench", "-o", "tsv")
    instance = int(logs.split("starts on port ")[1].split(":")[0])
    key = json.loads(az(folder, "ml", "online-endpoint", "get-credentials", "-n", "bench"))["primaryKey"]
    return int(endpoint["scoring_uri"].split(":")[2].split("/")[0]), instance, key


async def latencies(port: int, key: str, count: int, route: str) -> list[float]:
    """Seconds of requests sent one after the other on one connection."""
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(lambda: ClientConnection(lambda _: None), "127.0.0.1", port)
    request = (
        f"POST {route} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\ncontent-length: {len(BODY)}\r\n\r\n".encode()
        + BODY
    )
    found = []
    for _ in range(count):
        future = loop.create_future()
        begin = time.perf_counter()
        connection.send(request, lambda response, error, future=future: future.set_result((response, error)))
        response, error = await future
        found.append(time.perf_counter() - begin)
        if response is None or response.status != 200:
            sys.exit(f"answered {response} {error}")
    connection.close()
    return found


async def measure(router: int, instance: int, key: str, count: int) -> None:
    for route, what in (("/score", "a request that is scored"), ("/", "a request that is answered at once")):
        added, direct, through = [], [], []
        for _ in range(ROUNDS):
            await latencies(instance, key, count // 10, route)
            own = statistics.median(await latencies(instance, key, count, route))
            routed = statistics.median(await latencies(router, key, count, route))
            direct.append(own)
            through.append(routed)
            added.append(routed - own)
        print(what)
        print(f"  instance itself    median {statistics.median(direct) * 1000:.3f} ms")
        print(f"  through the router median {statistics.median(through) * 1000:.3f} ms")
        print(f"  added              median {statistics.median(added) * 1000:.3f} ms (asked: 0.25), worst round {max(added) * 1000:.3f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=5000, help="of each round")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        router, instance, key = prepare(folder)
        try:
            uvloop.run(measure(router, instance, key, args.requests))
        finally:
            az(folder, "ml", "online-endpoint", "delete", "-n", "bench", "--yes")


if __name__ == "__main__":
    main()
