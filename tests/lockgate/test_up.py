"""The picture of the delivery that `lockgate up` draws above its runs."""

from __future__ import annotations

import argparse

import pytest

from lockgate.agent.events import View
from lockgate.commands import run as run_command
from lockgate.commands import up


@pytest.mark.parametrize(("code", "sign"), [(0, "✔"), (1, "✘")])
def test_a_pipeline_that_has_ended_is_shown_as_ended_above_the_next_one(monkeypatch, tmp_path, code, sign):
    """A picture is drawn while its run runs, and the next run knows nothing of this one: dev was shown as running to the end."""
    monkeypatch.setattr(up, "_STANDS", {})
    pictures = []

    def drawn(args: argparse.Namespace) -> int:
        name = "bicep-ado-deploy-infra" if "bicep" in str(args.file) else "dev-model-training"
        pictures.append(args.lanes(name, View("run", "1", name, status="running"), []))
        return code

    monkeypatch.setattr(run_command, "run", drawn)
    args = argparse.Namespace(plain=True, logs=False, ask=False)
    assert up._run(args, tmp_path, up.INFRASTRUCTURE, "-p", "environment=dev") == code
    up._run(args, tmp_path, f"mlops-pipelines/{up.FIRST}.yml")
    up._run(args, tmp_path, up.INFRASTRUCTURE, "-p", "environment=stage")
    assert [picture[0] for picture in pictures] == [
        "DEV   ▶ infrastructure ── · training",
        f"DEV   {sign} infrastructure ── ▶ training",
        f"DEV   {sign} infrastructure ── {sign} training",
    ]
    assert pictures[-1][1].startswith("STAGE ▶ infrastructure ── · register")
