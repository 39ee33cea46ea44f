"""What a deployment would change, from what `az deployment group what-if --no-pretty-print` says.

    what_if.py show WHATIF.json     for people: a line for each resource, with the properties that change
    what_if.py names WHATIF.json    one line each, `storage NAME`, `keyvault NAME` or `acr NAME`: names that are taken once in all of Azure and that
                                    this deployment would take

Standard library alone: it runs on any agent with Python 3.9 or newer.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

KINDS = {
    "microsoft.storage/storageaccounts": "storage",
    "microsoft.keyvault/vaults": "keyvault",
    "microsoft.containerregistry/registries": "acr",
}
SIGNS = {"Create": "+", "Modify": "~", "Delete": "-", "Deploy": "!", "NoChange": "=", "Ignore": "*", "Unsupported": "x", "NoEffect": "="}
WORDS = (
    ("Create", "to create"),
    ("Modify", "to modify"),
    ("Delete", "to DELETE"),
    ("Deploy", "to deploy"),
    ("Unsupported", "unknown"),
    ("NoChange", "unchanged"),
    ("Ignore", "not of this template"),
)


def short(identifier: str) -> str:
    """A resource's id from its provider on."""
    return identifier.split("/providers/", 1)[-1]


def value(found: object) -> str:
    """A value on one line."""
    text = json.dumps(found)
    return text if len(text) <= 100 else text[:97] + "..."


def properties(changes: list[dict], path: str = "") -> list[str]:
    """The properties that change, those inside of others too."""
    lines = []
    for one in changes or []:
        here = f"{path}.{one['path']}" if path else one["path"]
        if one.get("children"):
            lines += properties(one["children"], here)
        else:
            sign = SIGNS.get(one["propertyChangeType"], "~")
            lines.append(f"      {sign} {here}: {value(one.get('before'))} => {value(one.get('after'))}")
    return lines


def show(changes: list[dict]) -> str:
    """All changes as text, what changes first."""
    order = list(SIGNS)
    lines = []
    for change in sorted(
        changes, key=lambda one: (order.index(one["changeType"]) if one["changeType"] in order else 9, one["resourceId"].lower())
    ):
        lines.append(f"  {SIGNS.get(change['changeType'], '?')} {short(change['resourceId'])}")
        lines += properties(change.get("delta") or [])
    counts = [f"{sum(change['changeType'] == kind for change in changes)} {text}" for kind, text in WORDS]
    return "\n".join([*lines, "", "resources: " + ", ".join(text for text in counts if not text.startswith("0 "))])


def names(changes: list[dict]) -> list[tuple[str, str]]:
    """Kind and name of every resource to create whose name is everybody's."""
    found = []
    for change in changes:
        # …/providers/PROVIDER/TYPE/NAME and nothing below it
        parts = short(change["resourceId"]).split("/")
        kind = KINDS.get("/".join(parts[:2]).lower())
        if change["changeType"] == "Create" and kind and len(parts) == 3:
            found.append((kind, parts[2]))
    return found


def main() -> None:
    """Do what the command line says."""
    if len(sys.argv) != 3 or sys.argv[1] not in ("show", "names"):
        sys.exit(__doc__)
    changes = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))["changes"]
    if sys.argv[1] == "show":
        print(show(changes))
        return
    for kind, name in names(changes):
        print(kind, name)


if __name__ == "__main__":
    main()
