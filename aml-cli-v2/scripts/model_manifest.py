"""Recomputes a model's hashes from its bytes, and prints the SHA-256 of its manifest. Standard library alone.

    model_manifest.py FOLDER [--expect SHA256]

Fails, naming the file, if one is missing, was added or has other bytes than manifest.json lists, or if the manifest is not the one expected.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path


def sha256(path: Path) -> str:
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def main() -> None:
    """Check one model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a downloaded model; its manifest may lie some folders down")
    parser.add_argument("--expect", default="", help="what the manifest's SHA-256 must be")
    args = parser.parse_args()
    manifests = sorted(args.folder.rglob("manifest.json"))
    if len(manifests) != 1:
        sys.exit(f"{args.folder}: holds {len(manifests)} files manifest.json; allowed: one model")
    folder = manifests[0].parent
    try:
        listed: dict[str, str] = json.loads(manifests[0].read_text(encoding="utf-8"))["files"]
        listed.items()
    except (ValueError, KeyError, TypeError, AttributeError):
        sys.exit("manifest.json: is damaged; this is not the model that was registered")
    # MLflow writes a file of its own when it downloads, and Python compiles what it imports; nothing of either is served.
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    there -= {"manifest.json", "registered_model_meta"}
    for name in sorted(there ^ listed.keys()):
        sys.exit(
            f"{name}: {'is not in the manifest' if name in there else 'is in the manifest and not there'}; this is not the model that was registered"
        )
    for name, expected in listed.items():
        if sha256(folder / name) != expected:
            sys.exit(f"{name}: has other bytes than the manifest lists; this is not the model that was registered")
    found = sha256(manifests[0])
    if args.expect and found != args.expect:
        sys.exit(f"manifest.json: SHA-256 is {found}, expected was {args.expect}; this is not the model that was registered")
    print(found)


if __name__ == "__main__":
    main()
