"""Asks an online endpoint and judges what it says. Standard library alone: it runs on any agent with Python 3.9 or newer.

    check_endpoint.py smoke --uri URI --model FOLDER [--deployment NAME]      answers equal those that the native model stored
    check_endpoint.py load  --uri URI --model FOLDER --seconds S --workers N --min-answers A --max-errors E --max-p95-ms M [--deployment NAME]
    check_endpoint.py compare --uri URI --model FOLDER --answers-of-batch FOLDER --rows CSV      online and batch answers are equal, row by row

The key or token is read from ENDPOINT_KEY. The exit code is 0 only if everything held; every check is one line with its figure.
"""

from __future__ import annotations

import argparse
import csv
import http.client
import json
import math
import os
import sys
import threading
import time
import urllib.parse
from pathlib import Path

TOLERANCE = 1e-3
"""In standard deviations of the target, or in probability: ONNX Runtime and the native library sum in another order."""

PACE = 0.2
"""Seconds between two requests of a worker that only watches."""


STARVED = (10.0, 2000)
"""Seconds, and answers of others in them, without one of the canary, after which it has no share of the traffic any more."""


class Caller:
    """One connection to an endpoint."""

    def __init__(self, uri: str, deployment: str) -> None:
        self._target = urllib.parse.urlsplit(uri)
        self._headers = {"Content-Type": "application/json", "Authorization": "Bearer " + os.environ["ENDPOINT_KEY"]}
        if deployment:
            self._headers["azureml-model-deployment"] = deployment
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, body: bytes) -> tuple[int, bytes, str]:
        """Status, body and the deployment that answered; status 0 if there was no answer."""
        for attempt in (1, 2):
            fresh = self._connection is None
            try:
                if self._connection is None:
                    kind = http.client.HTTPSConnection if self._target.scheme == "https" else http.client.HTTPConnection
                    self._connection = kind(self._target.netloc, timeout=60)
                self._connection.request("POST", self._target.path or "/", body, self._headers)
                answer = self._connection.getresponse()
                return answer.status, answer.read(), answer.getheader("azureml-model-deployment") or ""
            except (OSError, http.client.HTTPException) as error:
                self.close()
                # A kept connection that the other side has closed meanwhile says nothing of the endpoint.
                if fresh or attempt == 2:
                    return 0, str(error).encode(), ""
        return 0, b"", ""

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def examples(model: Path) -> tuple[dict, dict]:
    """The request that a model was registered with, and the native model's answers to it."""
    found = next(iter(sorted(model.rglob("input_example.json"))), None)
    if found is None:
        sys.exit(f"{model}: holds no input_example.json; pass the folder of a downloaded model")
    return json.loads(found.read_text()), json.loads((found.parent / "expected.json").read_text())


def smoke(args: argparse.Namespace) -> bool:
    """Whether the answers are those that were stored at registration, and a bad row is refused."""
    request, expected = examples(args.model)
    caller = Caller(args.uri, args.deployment)
    status, body, who = caller.ask(json.dumps(request).encode())
    if status != 200:
        print(f"FAILED  answers: {status} {body[:300].decode(errors='replace')}")
        return False
    if args.deployment and who not in ("", args.deployment):
        print(f"FAILED  deployment: {who} answered, asked was {args.deployment}")
        return False
    wrong = differences(parsed(body), expected)
    rows = len(request["input_data"])
    print(f"{'FAILED' if wrong else 'passed'}  answers: {rows} rows, {wrong or 'equal to the native model within tolerance'}")
    bad = {"input_data": [dict.fromkeys(request["input_data"][0])]}
    status, body, _ = caller.ask(json.dumps(bad).encode())
    # Azure answers 424 for whatever a container refuses; the reason is in the body.
    refused = status in (400, 424) and b"error" in body
    print(f"{'passed' if refused else 'FAILED'}  contract: a row without values is answered {status}")
    caller.close()
    return not wrong and refused


def parsed(body: bytes) -> dict:
    """An answer as an object; an empty one if it is none."""
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def is_near(one: object, other: object, limit: float) -> bool:
    """Whether two numbers differ by no more than a limit; what is no number is near to nothing."""
    return all(isinstance(value, (int, float)) for value in (one, other)) and abs(one - other) <= limit  # type: ignore[operator]


def differences(got: dict, expected: dict) -> str:
    """What of an answer is not as expected; empty if nothing is."""
    limit = TOLERANCE * expected.get("scale", 1.0)
    wanted = expected["native"]
    found = got.get("predictions")
    if isinstance(got.get("probabilities"), list):
        found = [list(row.values()) if isinstance(row, dict) else row for row in got["probabilities"]]
    if not isinstance(found, list):
        return "no predictions"
    if len(wanted) != len(found):
        return f"{len(found)} predictions for {len(wanted)} rows"
    for row, (want, have) in enumerate(zip(wanted, found)):
        wants, haves = (want, have) if isinstance(want, list) and isinstance(have, list) else ([want], [have])
        if len(wants) != len(haves) or not all(is_near(one, other, limit) for one, other in zip(wants, haves)):
            return f"row {row}: {have} instead of {want}"
    called, labels = expected.get("called", []), got.get("predictions")
    if called and (not isinstance(labels, list) or len(labels) != len(called)):
        return "no class for every row"
    for row, (label, have) in enumerate(zip(called, labels if called else [])):
        if label is not None and have != label:
            return f"row {row}: called {have!r} instead of {label!r}"
    return ""


def typed(text: str, column: dict) -> object:
    """A value of a CSV as a request has it, by the model's contract."""
    if text in ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"):
        return None
    if column["type"] == "number":
        return float(text)
    if column["type"] == "integer":
        return int(float(text))
    return text


def compare(args: argparse.Namespace) -> bool:
    """Whether the endpoint answers each row of a file as the batch run did."""
    contract = json.loads(next(args.model.rglob("contract.json")).read_text())
    scale = json.loads(next(args.model.rglob("expected.json")).read_text()).get("scale", 1.0)
    request, _ = examples(args.model)
    columns = {column["name"]: column for column in contract["columns"] if column["name"] in request["input_data"][0]}
    lines = [json.loads(line) for path in sorted(args.answers_of_batch.rglob("*.jsonl")) for line in path.read_text().splitlines()]
    answers = {line["row"]: line["prediction"] for line in lines if "prediction" in line}
    with args.rows.open(newline="", encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream))
    caller = Caller(args.uri, args.deployment)
    compared, wrong = 0, []
    numbers = sorted(answers)
    beyond = [number for number in numbers if number >= len(rows)]
    if beyond or len({line["row"] for line in lines}) != len(rows):
        print(f"FAILED  batch: {len(lines)} answers for {len(rows)} rows of {args.rows.name}")
        return False
    for start in range(0, len(numbers), 200):
        chosen = numbers[start : start + 200]
        body = {"input_data": [{name: typed(rows[n][name], column) for name, column in columns.items()} for n in chosen]}
        status, text, _ = caller.ask(json.dumps(body).encode())
        if status != 200:
            print(f"FAILED  rows {chosen[0]} to {chosen[-1]}: {status} {text[:300].decode(errors='replace')}")
            return False
        got = parsed(text).get("predictions")
        if not isinstance(got, list) or len(got) != len(chosen):
            print(
                f"FAILED  rows {chosen[0]} to {chosen[-1]}: {len(got) if isinstance(got, list) else 'no'} predictions for {len(chosen)} rows"
            )
            return False
        for number, have in zip(chosen, got):
            compared += 1
            want = answers[number]
            if want != have if isinstance(want, str) else not is_near(want, have, TOLERANCE * scale):
                wrong.append(f"row {number}: {have} online, {want} in the batch")
    caller.close()
    print(
        f"{'FAILED' if wrong or not compared else 'passed'}  batch: {compared} rows compared with online answers, {len(wrong)} differ{': ' + wrong[0] if wrong else ''}"
    )
    return bool(compared) and not wrong


def drive(args: argparse.Namespace) -> dict[str, list[float]]:
    """Send the examples for some time, or until there are enough answers; status → seconds of each answer.

    With --canary only what that deployment answered counts, and what nobody answered.
    """
    request, _ = examples(args.model)
    bodies = [json.dumps({"input_data": [row]}).encode() for row in request["input_data"]]
    found: dict[str, list[float]] = {}
    lock = threading.Lock()
    end = time.monotonic() + args.seconds
    # When the canary answered last, and how many answers were others' since.
    since = [time.monotonic(), 0]
    least = time.monotonic() + args.least_seconds
    left = [args.answers or 10**9]
    starved: list[str] = []

    def work(number: int) -> None:
        caller = Caller(args.uri, args.deployment)
        own: list[tuple[str, float]] = []
        while time.monotonic() < end:
            if left[0] <= 0:
                if time.monotonic() >= least:
                    break
                # There are enough to judge by; what remains is watched, and not loaded.
                time.sleep(PACE)
            begin = time.monotonic()
            status, _, who = caller.ask(bodies[number % len(bodies)])
            number += 1
            # Without the header a good answer may be anybody's; a bad one counts against the canary.
            if args.canary and who != args.canary and (who or status == 200):
                with lock:
                    since[1] += 1
                    if time.monotonic() - since[0] > STARVED[0] and since[1] > STARVED[1]:
                        # Somebody has taken its share away: there is nothing to wait for.
                        left[0] = 0
                        starved.append(args.canary)
                if starved:
                    break
                continue
            since[:] = [time.monotonic(), 0]
            own.append((str(status), time.monotonic() - begin))
            with lock:
                left[0] -= 1
        caller.close()
        with lock:
            for status, seconds in own:
                found.setdefault(status, []).append(seconds)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(args.workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if starved:
        print(f"deployment {args.canary} gets no traffic any more: none of the last {STARVED[1]:,} answers was its own")
    return found


def judge(found: dict[str, list[float]], args: argparse.Namespace) -> bool:
    """Whether there were enough answers, few enough errors, and soon enough."""
    good = sorted(found.get("200", []))
    count = sum(len(times) for times in found.values())
    errors = {status: len(times) for status, times in found.items() if status != "200"}
    answered = count - len(found.get("0", []))
    share = sum(errors.values()) / count if count else 1.0
    checks = [
        (answered >= args.min_answers, f"requests: {answered} answered, at least {args.min_answers} are needed"),
        (share <= args.max_errors, f"errors: {share:.2%} ({errors or 'none'}), at most {args.max_errors:.2%}"),
    ]
    if args.max_p95_ms and good:
        p95 = good[min(len(good) - 1, math.ceil(0.95 * len(good)) - 1)] * 1000
        checks.append((p95 <= args.max_p95_ms, f"latency: p95 {p95:.1f} ms, at most {args.max_p95_ms:g} ms"))
    for held, text in checks:
        print(f"{'passed' if held else 'FAILED'}  {text}")
    return all(held for held, _ in checks)


def main() -> None:
    """Run one kind of check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("smoke", "load", "compare"))
    parser.add_argument("--uri", required=True)
    parser.add_argument("--model", type=Path, required=True, help="a downloaded model")
    parser.add_argument("--deployment", default="", help="which deployment is asked; default: as traffic goes")
    parser.add_argument("--canary", default="", help="judge only what this deployment answers of the endpoint's traffic")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--least-seconds", type=float, default=0.0, help="go on for so long, slowly, also with enough answers")
    parser.add_argument("--answers", type=int, default=0, help="stop after so many; 0: after --seconds")
    parser.add_argument("--min-answers", type=int, default=1)
    parser.add_argument("--max-errors", type=float, default=0.0, help="share of requests, 0 to 1")
    parser.add_argument("--max-p95-ms", type=float, default=0.0, help="0: not judged")
    parser.add_argument("--answers-of-batch", type=Path, help="folder with the lines that a batch run wrote")
    parser.add_argument("--rows", type=Path, help="the CSV that it scored")
    args = parser.parse_args()
    if not os.environ.get("ENDPOINT_KEY"):
        sys.exit("ENDPOINT_KEY is not set; it holds the endpoint's key or token")
    held = {"smoke": smoke, "compare": compare, "load": lambda given: judge(drive(given), given)}[args.kind](args)
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
