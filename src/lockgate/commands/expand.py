"""`lockgate expand FILE`: the flat YAML."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lockgate.commands._shared import add_request_options, check_repositories, make_request, root_of


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("file", type=Path, help="an Azure Pipelines file")
    add_request_options(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print the pipeline without templates and template expressions."""
    from lockgate.agent.tasks import catalog
    from lockgate.pipelines.emit import flat, flat_yaml
    from lockgate.pipelines.pipeline_file import load_pipeline

    root = root_of(args, args.file)
    request, _ = make_request(args, root, args.file)
    pipeline, mistakes = load_pipeline(args.file, root, catalog(root), request)
    check_repositories(request, pipeline)
    mistakes.stop(unsupported=False)  # What the desk does not run is shown all the same.
    if args.json:
        import json

        print(json.dumps(flat(pipeline), indent=1, ensure_ascii=False))
    else:
        sys.stdout.write(flat_yaml(pipeline))
    for mistake in mistakes.unsupported:
        print(f"note: {mistake}", file=sys.stderr)
    return 0
