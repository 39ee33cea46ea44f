"""Data collection: requests and answers of a deployment as lines of JSON, one file per collection and hour.

The lines are CloudEvents with the fields that Azure Machine Learning's collector writes, so one reader does for both.
"""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from lockgate.serving.http import Request, Response

_FLUSH: Final = 0.5
"""Seconds between two writes."""
_LIMIT: Final = 10_000
"""Answers that may wait to be written; more are left out and counted, so that a slow disk costs callers nothing."""
_SIDES: Final = {"request": "request", "model_inputs": "request", "response": "response", "model_outputs": "response"}


class Collector:
    """Writes what a deployment was asked and answered.

    Args:
        folder: holds COLLECTION/yyyy/MM/dd/HH.jsonl.
        source: names the deployment in each line.
        settings: collection → its sampling rate from 0 to 1.
    """

    def __init__(self, folder: Path, source: str, settings: Mapping[str, float]) -> None:
        self._folder = folder
        self._source = source
        self._settings = settings
        self._waiting: list[tuple[datetime, bytes, bytes, int, str]] = []
        self._left_out = 0
        self._random = random.Random()  # noqa: S311 - which requests are sampled is no secret
        self._task = asyncio.create_task(self._write_on())

    def take(self, request: Request, response: Response, identifier: str) -> None:
        """Take a request and its answer."""
        if len(self._waiting) >= _LIMIT:
            self._left_out += 1
            return
        self._waiting.append((datetime.now(UTC), request.body, response.body, response.status, identifier))

    async def close(self) -> None:
        """Write what is left."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._write()

    async def _write_on(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH)
            if self._waiting:
                await asyncio.shield(asyncio.to_thread(self._write))

    def _write(self) -> None:
        waiting, self._waiting = self._waiting, []
        lines: dict[Path, list[str]] = {}
        for when, asked, answered, status, identifier in waiting:
            for collection, rate in self._settings.items():
                side = _SIDES[collection]
                if (side == "response" and status != 200 and collection == "model_outputs") or self._random.random() >= rate:
                    continue
                path = self._folder / collection / f"{when:%Y/%m/%d}" / f"{when:%H}.jsonl"
                data = _data(collection, asked if side == "request" else answered)
                event = {
                    "specversion": "1.0",
                    "id": str(uuid.uuid4()),
                    "source": self._source,
                    "type": f"azureml.inference.{collection}",
                    "datacontenttype": "application/json",
                    "time": when.isoformat(),
                    "data": data,
                    "correlationid": identifier,
                    "xrequestid": identifier,
                    "modelversion": "default",
                    "agent": "lockgate",
                }
                lines.setdefault(path, []).append(json.dumps(event) + "\n")
        for path, made in lines.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as stream:
                stream.writelines(made)
        if self._left_out:
            print(f"data collection: {self._left_out} answers left out; more came than could be written", flush=True)
            self._left_out = 0


def _data(collection: str, body: bytes) -> Any:
    """A body as JSON, or as a text; of model_inputs and model_outputs the rows."""
    try:
        found = json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")
    if isinstance(found, dict):
        if collection == "model_inputs" and "input_data" in found:
            return _rows(found["input_data"])
        if collection == "model_outputs" and isinstance(found.get("predictions"), list):
            return [{"prediction": value} for value in found["predictions"]]
    return found


def _rows(data: Any) -> Any:
    if isinstance(data, dict) and isinstance(data.get("columns"), list) and isinstance(data.get("data"), list):
        return [dict(zip(data["columns"], row, strict=False)) for row in data["data"] if isinstance(row, list)]
    return data
