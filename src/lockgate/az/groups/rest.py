"""`az rest`: the addresses of Azure DevOps that runs and scripts ask, answered from what the desk keeps."""

from __future__ import annotations

import json
import re
import urllib.parse
import uuid
from pathlib import Path
from typing import Any, Final

from lockgate.az.context import Context
from lockgate.az.errors import ArgumentError, AzError, NotOnTheDesk
from lockgate.az.handlers import Handler
from lockgate.state import STATE_FOLDER

_TIMELINE: Final = re.compile(r"/[^/]+/_apis/build/builds/(\d+)/timeline")
_APPROVALS: Final = re.compile(r"/[^/]+/_apis/pipelines/approvals")
_HOST: Final = "desk.invalid"
"""Where the desk's System.CollectionUri points."""
_ANSWERED: Final = ("GET {project}/_apis/build/builds/{run}/timeline", "GET {project}/_apis/pipelines/approvals?approvalIds=…")
DEVOPS: Final = "499b84ac-1321-427f-aa17-267ca6975798"
"""Azure DevOps as a resource of Entra."""
_IDS: Final = uuid.UUID("6f1c3c0e-6c6e-4f0c-9a4e-0d6b7c1f6a55")


def _rest(context: Context) -> Any:
    from lockgate.az import devops

    target = urllib.parse.urlsplit(context.text("url"))
    method = context.text("method", "get").lower()
    query = dict(urllib.parse.parse_qsl(target.query)) | context.pairs("uri_parameters")
    if target.hostname == _HOST:
        organisation, path = f"https://{_HOST}", target.path.lstrip("/")
    else:
        name, _, path = target.path.lstrip("/").partition("/")
        organisation = f"{target.scheme}://{target.netloc}/{name}"
    if target.hostname not in (_HOST, "dev.azure.com") or target.scheme != "https":
        raise _refused(method, context.text("url"))
    if not any(header.lower().startswith("authorization=") for header in context.words("headers")) and not context.has("resource"):
        raise ArgumentError(f"az rest: Azure DevOps wants --headers Authorization=…, or --resource {DEVOPS}")
    if "api-version" not in query:
        raise ArgumentError("az rest: the address lacks api-version")
    if method == "get" and (found := _TIMELINE.fullmatch(f"/{path}")):
        return {
            "records": [record for one in _approvals(context, found[1]) for record in _records(*one)],
            "id": str(uuid.uuid5(_IDS, found[1])),
        }
    if method == "get" and _APPROVALS.fullmatch(f"/{path}"):
        wanted = [one for one in query.get("approvalIds", "").split(",") if one]
        everything = [one for run in _runs(context) for one in _approvals(context, run)]
        known = {_id(*one): one for one in everything}
        value = [_approval(*known[one], with_steps="steps" in query.get("$expand", "")) for one in wanted if one in known]
        return {"count": len(value), "value": value}
    answered = devops.answer(context.root, organisation, method, path, query, _body(context))
    if answered is None:
        raise _refused(method, f"/{path}")
    return answered


def _body(context: Context) -> Any:
    if not context.has("body"):
        return None
    try:
        return json.loads(context.text("body"))
    except ValueError as error:
        raise ArgumentError(f"az rest: --body is no JSON: {error}") from None


def _refused(method: str, address: str) -> NotOnTheDesk:
    from lockgate.az import devops

    known = "; ".join([*_ANSWERED, *devops.addresses()])
    return NotOnTheDesk(f"az rest: found {method.upper()} {address}; the desk answers only these of https://dev.azure.com/ORG: {known}")


def _folder(context: Context) -> Path:
    return context.root / STATE_FOLDER / "runs"


def _runs(context: Context) -> list[str]:
    return [path.name for path in sorted(_folder(context).glob("*")) if path.name.isdigit()]


def _approvals(context: Context, run: str) -> list[tuple[str, dict[str, Any]]]:
    """What was asked in a run, with the run's number."""
    folder = _folder(context) / run
    if not folder.is_dir():
        raise AzError(f"Not Found: there is no run {run}")
    return [(run, json.loads(path.read_text(encoding="utf-8"))) for path in sorted((folder / "approvals").glob("[!.]*.json"))]


def _id(run: str, asked: dict[str, Any]) -> str:
    return str(uuid.uuid5(_IDS, f"{run} {asked['what']}"))


def _records(run: str, asked: dict[str, Any]) -> list[dict[str, Any]]:
    """The stage that an approval was for, its checkpoint, and the approval itself, as a timeline has them."""
    stage = str(uuid.uuid5(_IDS, f"{run} stage of {asked['what']}"))
    checkpoint = str(uuid.uuid5(_IDS, f"{run} checkpoint of {asked['what']}"))
    approval = {
        "id": _id(run, asked),
        "parentId": checkpoint,
        "type": "Checkpoint.Approval",
        "name": "Checkpoint.Approval",
        "startTime": asked.get("asked"),
        "finishTime": asked.get("at"),
        "state": "inProgress" if asked["state"] == "waiting" else "completed",
        "result": {"approved": "succeeded", "rejected": "failed"}.get(asked["state"]),
    }
    return [
        {"id": stage, "parentId": None, "type": "Stage", "name": asked["what"]},
        {"id": checkpoint, "parentId": stage, "type": "Checkpoint", "name": "Checkpoint"},
        approval,
    ]


def _approval(run: str, asked: dict[str, Any], *, with_steps: bool) -> dict[str, Any]:
    state = {"waiting": "pending"}.get(asked["state"], asked["state"])
    who = {"displayName": asked.get("by", ""), "uniqueName": asked.get("by", "")}
    step = {
        "assignedApprover": who,
        "actualApprover": who,
        "status": state,
        "comment": " ".join(part for part in (asked.get("comment", ""), f"({asked['how']})" if asked.get("how") else "") if part),
        "lastModifiedOn": asked.get("at"),
        "order": 1,
    }
    return {
        "id": _id(run, asked),
        "steps": [step] if with_steps and state != "pending" else [],
        "status": state,
        "createdOn": asked.get("asked"),
        "lastModifiedOn": asked.get("at") or asked.get("asked"),
        "instructions": asked.get("instructions", ""),
        "minRequiredApprovers": 1,
        "pipeline": {"owner": {"id": int(run), "name": run}},
    }


COMMANDS: Final = {
    "rest": Handler(
        _rest, "ask or change Azure DevOps: approvals of a run, connections, environments, checks, pipelines, policies",
        ("url", "method", "headers", "uri_parameters", "resource", "body"),
        (("skip_authorization_header", "nobody's token is added here"),),
    ),
}  # fmt: skip
