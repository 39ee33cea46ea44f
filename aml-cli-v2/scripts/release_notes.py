"""Who approved what, from what Azure DevOps says of a run. Standard library alone: it runs on any agent with Python 3.9 or newer.

release_notes.py ids TIMELINE.json                            the ids of the run's approvals, with commas between
release_notes.py notes TIMELINE.json APPROVALS.json FOLDER --pipeline NAME --run NUMBER
                                                              adds them to FOLDER/release.json, and writes FOLDER/notes.md from that
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def asked(timeline: dict) -> list[dict]:
    """The approvals among the records of a run."""
    return [record for record in timeline.get("records") or [] if record.get("type") == "Checkpoint.Approval"]


def stage_of(record: dict, timeline: dict) -> str:
    """The stage that an approval held up."""
    records = {one["id"]: one for one in timeline.get("records") or []}
    found: dict | None = record
    while found is not None and found.get("type") != "Stage":
        found = records.get(found.get("parentId") or "")
    return str((found or record).get("name") or "approval")


def answers(timeline: dict, approvals: dict) -> list[dict]:
    """Every answer that a person gave in a run: what was asked about, who answered what, and when."""
    names = {record["id"]: stage_of(record, timeline) for record in asked(timeline)}
    return [
        {
            "what": names.get(one["id"], "approval"),
            "status": step.get("status", ""),
            "by": (step.get("actualApprover") or {}).get("displayName", ""),
            "at": step.get("lastModifiedOn") or "",
            "comment": step.get("comment") or "",
        }
        for one in approvals.get("value") or []
        for step in one.get("steps") or []
        if step.get("status") in ("approved", "rejected")
    ]


def cell(text: object) -> str:
    """A text as a cell of a Markdown table."""
    return " ".join(str(text).replace("|", "\\|").split()) or "-"


def table(head: tuple[str, ...], rows: list[tuple[object, ...]]) -> list[str]:
    """A Markdown table."""
    return [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {' | '.join(map(cell, row))} |" for row in rows)]


def notes(release: dict) -> str:
    """The notes of a release."""
    lines = [f"## Release of {release['model']}, version {release['version']}", "", str(release.get("summary", "")), ""]
    keys = (
        ("sha256", "SHA-256 of the manifest"),
        ("commit", "commit"),
        ("data", "version of the data"),
        ("job", "training job"),
        ("winner", "trained by"),
    )
    lines += table(("what", "value"), [(title, release[key]) for key, title in keys if release.get(key)])
    lines += ["", "### Who approved what", ""]
    rows = [
        (one["pipeline"], one["run"], one["what"], one["status"], one["by"], one["at"], one["comment"])
        for one in release.get("approvals", [])
    ]
    lines += table(("pipeline", "run", "asked", "answer", "by", "at", "comment"), rows) if rows else ["Nobody was asked so far."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    ids = kinds.add_parser("ids")
    ids.add_argument("timeline", type=Path)
    write = kinds.add_parser("notes")
    write.add_argument("timeline", type=Path)
    write.add_argument("approvals", type=Path)
    write.add_argument("folder", type=Path)
    write.add_argument("--pipeline", required=True)
    write.add_argument("--run", required=True)
    write.add_argument("--unread", default="", help="why the approvals could not be read; empty: they were")
    args = parser.parse_args()
    timeline = json.loads(args.timeline.read_text(encoding="utf-8"))
    if args.kind == "ids":
        print(",".join(record["id"] for record in asked(timeline)))
        return
    found = answers(timeline, json.loads(args.approvals.read_text(encoding="utf-8")))
    path = args.folder / "release.json"
    release = json.loads(path.read_text(encoding="utf-8"))
    # A run that is tried again has its approvals anew, and lists them once.
    before = [one for one in release.get("approvals", []) if (one["pipeline"], one["run"]) != (args.pipeline, args.run)]
    if args.unread:
        found = [{"what": "approvals of the run", "status": "could not be read", "by": "", "at": "", "comment": args.unread}]
    release["approvals"] = before + [{"pipeline": args.pipeline, "run": args.run, **one} for one in found]
    path.write_text(json.dumps(release, indent=1) + "\n", encoding="utf-8")
    (args.folder / "notes.md").write_text(notes(release), encoding="utf-8")


if __name__ == "__main__":
    main()
