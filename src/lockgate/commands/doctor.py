"""`lockgate doctor`: what is right and what is missing before a first run in Azure."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lockgate.doctor import Finding

_SIGNS: Final = {"right": "✔", "missing": "✘", "unknown": "?"}
_COLOURS: Final = {"right": "32", "missing": "31", "unknown": "33"}


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--environment", choices=("dev", "stage", "prod"), help="look at this one only (default: all)")
    parser.add_argument("--organization", default="", metavar="URL", help="look at Azure DevOps too: https://dev.azure.com/ORG")
    parser.add_argument("--project", default="", metavar="NAME", help="its project")
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def run(args: argparse.Namespace) -> int:
    """Look, and say; 1 if something is missing."""
    import json
    from dataclasses import asdict

    from lockgate.doctor import examine
    from lockgate.errors import UsageError

    root = next((f for f in (Path.cwd(), *Path.cwd().parents) if (f / "infrastructure/main.bicep").exists()), None)
    if root is None:
        raise UsageError("doctor: found no infrastructure/main.bicep here or above; go into a Lockgate repository")
    if bool(args.organization) is not bool(args.project):
        raise UsageError("doctor: --organization and --project belong together; give both or none")
    if args.organization and not args.organization.startswith("https://"):
        raise UsageError(f"--organization: found '{args.organization}'; allowed: its address, such as https://dev.azure.com/contoso")
    environments = [args.environment] if args.environment else ["dev", "stage", "prod"]
    findings: list[Finding] = []
    area = ""
    for finding in examine(root, environments, args.organization, args.project):
        findings.append(finding)
        if not args.json:
            if finding.area != area:
                area = finding.area
                print(f"\n{area}" if len(findings) > 1 else area)
            print(_line(finding, colour=sys.stdout.isatty()), flush=True)
    counts = {state: sum(one.state == state for one in findings) for state in _SIGNS}
    if args.json:
        print(json.dumps({"findings": [asdict(one) for one in findings], "counts": counts}, indent=1))
    else:
        print(f"\n{counts['right']} right, {counts['missing']} missing, {counts['unknown']} could not be found out")
    return 1 if counts["missing"] else 0


def _line(finding: Finding, *, colour: bool) -> str:
    sign = _SIGNS[finding.state]
    if colour:
        sign = f"\033[{_COLOURS[finding.state]}m{sign}\033[0m"
    mend = f"\n      → {finding.mend}" if finding.mend else ""
    return f"  {sign} {finding.what:<44} {finding.found}{mend}"
