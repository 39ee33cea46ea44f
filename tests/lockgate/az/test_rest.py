"""`az rest`: what a run asks Azure DevOps about its own approvals."""

from __future__ import annotations

import json

import pytest

URL = "https://desk.invalid/team/_apis"
HEADER = ("--headers", "Authorization=Bearer x")
WHO = {"what": "stage Release: environment prod", "asked": "2026-01-02T03:00:00Z", "instructions": "look first"}
YES = {**WHO, "state": "approved", "by": "ann", "at": "2026-01-02T03:04:05Z", "how": "lockgate approve", "comment": "fine"}


@pytest.fixture
def asked(cloud):
    for number, record in (("3", YES), ("4", {**WHO, "state": "waiting"}), ("5", None)):
        folder = cloud.folder / ".lockgate/runs" / number / "approvals"
        folder.mkdir(parents=True)
        if record:
            (folder / "one.json").write_text(json.dumps(record))
    return cloud


def approvals(asked, run):
    timeline = asked.get("rest", "--url", f"{URL}/build/builds/{run}/timeline?api-version=7.1", *HEADER)
    ids = [record["id"] for record in timeline["records"] if record["type"] == "Checkpoint.Approval"]
    url = f"{URL}/pipelines/approvals?approvalIds={','.join(ids)}&$expand=steps&api-version=7.1"
    return timeline["records"], asked.get("rest", "--method", "GET", "--url", url, *HEADER)["value"]


def test_an_answer_is_found_by_the_timeline_s_id(asked):
    records, (found,) = approvals(asked, 3)
    assert [record["type"] for record in records] == ["Stage", "Checkpoint", "Checkpoint.Approval"]
    assert records[2]["parentId"] == records[1]["id"]
    assert records[1]["parentId"] == records[0]["id"]
    assert found["status"] == "approved"
    (step,) = found["steps"]
    assert (step["actualApprover"]["displayName"], step["status"], step["comment"]) == ("ann", "approved", "fine (lockgate approve)")


def test_what_nobody_has_answered_is_pending(asked):
    _, (found,) = approvals(asked, 4)
    assert (found["status"], found["steps"]) == ("pending", [])


def test_a_run_without_questions_has_no_records(asked):
    assert approvals(asked, 5) == ([], [])


def test_what_the_desk_does_not_answer_is_refused_by_name(asked):
    assert "the desk answers only" in asked.refused(2, "rest", "--url", "https://management.azure.com/x?api-version=1", *HEADER)
    assert "found POST" in asked.refused(2, "rest", "--method", "post", "--url", f"{URL}/build/builds/3/timeline?api-version=7.1", *HEADER)
    assert "found GET /team/_apis/build/builds" in asked.refused(2, "rest", "--url", f"{URL}/build/builds?api-version=7.1", *HEADER)


def test_what_azure_devops_would_refuse_is_refused(asked):
    assert "api-version" in asked.refused(2, "rest", "--url", f"{URL}/build/builds/3/timeline", *HEADER)
    assert "Authorization" in asked.refused(2, "rest", "--url", f"{URL}/build/builds/3/timeline?api-version=7.1")
    assert "no run 9" in asked.refused(1, "rest", "--url", f"{URL}/build/builds/9/timeline?api-version=7.1", *HEADER)


def test_a_word_may_stand_in_a_file(asked):
    header = asked.write("header", "Authorization=Bearer x\n")
    assert asked.get("rest", "--url", f"{URL}/build/builds/5/timeline?api-version=7.1", "--headers", f"@{header}")["records"] == []
    assert "no such file" in asked.refused(2, "rest", "--url", "@nowhere", *HEADER)
