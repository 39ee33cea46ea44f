"""Which names a deployment would take that are taken once in all of Azure, from what `az deployment group what-if --no-pretty-print` says.

    new_names.py WHATIF.json        one line each, `storage NAME`, `keyvault NAME` or `acr NAME`, of what is not there yet

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


def new_names(changes: list[dict]) -> list[tuple[str, str]]:
    """Kind and name of every resource to create whose name is everybody's."""
    found = []
    for change in changes:
        # …/providers/PROVIDER/TYPE/NAME and nothing below it
        parts = change["resourceId"].split("/providers/", 1)[-1].split("/")
        kind = KINDS.get("/".join(parts[:2]).lower())
        if change["changeType"] == "Create" and kind and len(parts) == 3:
            found.append((kind, parts[2]))
    return found


def main() -> None:
    """Print them."""
    said = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    for kind, name in new_names(said["changes"]):
        print(kind, name)


if __name__ == "__main__":
    main()
