"""Writes flight-delay-automl.json: the body that azure-ai-ml compiles the YAML file beside this one into."""

from __future__ import annotations

import json
from pathlib import Path

from azure.ai.ml import load_job

HERE = Path(__file__).parent


def main() -> None:
    """Write the golden file."""
    body = load_job(HERE / "flight-delay-automl.yml")._to_rest_object().as_dict()
    (HERE / "flight-delay-automl.json").write_text(json.dumps(body, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
