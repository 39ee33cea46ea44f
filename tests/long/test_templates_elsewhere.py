"""The step templates in somebody else's repository: no file of theirs is ours, and no name of ours is a name of theirs."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.long
PIPELINE = """\
resources:
  repositories:
  - {repository: templates, type: git, name: platform/lockgate}
variables:
  group_name: rg-house
  place_name: mlw-house
jobs:
- job: Deliver
  steps:
  - checkout: self
  - checkout: templates
  - template: aml-cli-v2/install-az-cli.yml@templates
  - template: aml-cli-v2/install-aml-cli.yml@templates
  - template: aml-cli-v2/connect-to-workspace.yml@templates
    parameters: {connection: house, resourceGroup: $(group_name), workspace: $(place_name)}
  - template: aml-cli-v2/create-compute.yml@templates
    parameters: {connection: house, resourceGroup: $(group_name), workspace: $(place_name), name: small, size: Standard_DS2_v2, maxInstances: '2'}
  - template: aml-cli-v2/register-data.yml@templates
    parameters: {connection: house, resourceGroup: $(group_name), workspace: $(place_name), file: house/ml/rows.yml, stepName: rows, scripts: $(Build.SourcesDirectory)/lockgate/aml-cli-v2/scripts}
  - template: aml-cli-v2/register-environment.yml@templates
    parameters: {connection: house, resourceGroup: $(group_name), workspace: $(place_name), file: house/ml/environment.yml, stepName: served, scripts: $(Build.SourcesDirectory)/lockgate/aml-cli-v2/scripts}
  - template: aml-cli-v2/run-pipeline.yml@templates
    parameters:
      connection: house
      resourceGroup: $(group_name)
      workspace: $(place_name)
      file: house/ml/count.yml
      sets: [inputs.rows.path=$(rows.reference), 'jobs.count.environment=$(served.reference)']
      outputs: [counted]
      stepName: counting
  - bash: test "$(cat "$OUTPUTS"/named-outputs/counted/count.txt)" = 3
    displayName: What the job left
    env: {OUTPUTS: $(Pipeline.Workspace)/outputs}
  - template: aml-cli-v2/create-endpoint.yml@templates
    parameters: {connection: house, resourceGroup: $(group_name), workspace: $(place_name), kind: online, name: doubles, file: house/ml/endpoint.yml}
  - template: aml-cli-v2/create-deployment.yml@templates
    parameters:
      connection: house
      resourceGroup: $(group_name)
      workspace: $(place_name)
      kind: online
      endpoint: doubles
      name: first
      file: house/ml/deployment.yml
      model: azureml:doubles:1
      environment: $(served.reference)
      instanceType: Standard_DS2_v2
  - template: aml-cli-v2/test-deployment.yml@templates
    parameters:
      connection: house
      resourceGroup: $(group_name)
      workspace: $(place_name)
      endpoint: doubles
      deployment: first
      model: house/ml/model
      scripts: $(Build.SourcesDirectory)/lockgate/aml-cli-v2/scripts
      seconds: 1
  - template: aml-cli-v2/allocate-traffic.yml@templates
    parameters: {connection: house, resourceGroup: $(group_name), workspace: $(place_name), endpoint: doubles, traffic: first=100}
"""
SCRIPTS = "$(Build.SourcesDirectory)/lockgate/aml-cli-v2/scripts"
RELEASE = """\
resources:
  repositories:
  - {repository: templates, type: git, name: platform/lockgate}
parameters:
- {name: version, type: string}
- {name: sha256, type: string}
- {name: back, type: boolean, default: false}
variables: {group_name: rg-house, place_name: mlw-house}
jobs:
- job: Release
  steps:
  - checkout: self
  - checkout: templates
  - template: aml-cli-v2/install-az-cli.yml@templates
  - template: aml-cli-v2/install-aml-cli.yml@templates
  - template: aml-cli-v2/promote-model.yml@templates
    parameters:
      sourceConnection: house
      sourceResourceGroup: $(group_name)
      sourceWorkspace: $(place_name)
      connection: house
      registry: mlr-house
      model: doubles
      version: ${{ parameters.version }}
      sha256: ${{ parameters.sha256 }}
      scripts: SCRIPTS
  - template: aml-cli-v2/safe-rollout.yml@templates
    parameters:
      connection: house
      resourceGroup: $(group_name)
      workspace: $(place_name)
      endpoint: doubles
      file: house/ml/deployment.yml
      model: azureml://registries/mlr-house/models/doubles/versions/${{ parameters.version }}
      environment: azureml:plain@latest
      instanceType: Standard_DS2_v2
      canaryAnswers: '50'
      scripts: SCRIPTS
  - template: aml-cli-v2/tag-champion.yml@templates
    parameters: {connection: house, resourceGroup: $(group_name), workspace: $(place_name), registry: mlr-house, model: doubles, version: '${{ parameters.version }}', endpoint: doubles}
  - ${{ if parameters.back }}:
    - template: aml-cli-v2/rollback.yml@templates
      parameters: {connection: house, resourceGroup: $(group_name), workspace: $(place_name), endpoint: doubles, registry: mlr-house, request: house/ml/model/input_example.json}
""".replace("SCRIPTS", SCRIPTS)
FILES = {
    "deliver.yml": PIPELINE,
    "release.yml": RELEASE,
    "ml/rows.csv": "value\n1\n2\n3\n",
    "ml/rows.yml": "name: rows\ntype: uri_file\npath: rows.csv\n",
    "ml/environment.yml": "name: plain\nimage: mcr.microsoft.com/azureml/minimal-ubuntu22.04-py39-cpu-inference:latest\n",
    "ml/count.yml": """\
type: pipeline
inputs: {rows: {type: uri_file, path: "azureml:rows:1"}}
outputs: {counted: {type: uri_folder}}
settings: {default_compute: azureml:small}
jobs:
  count:
    type: command
    inputs: {rows: "${{parent.inputs.rows}}"}
    outputs: {counted: "${{parent.outputs.counted}}"}
    environment: azureml:plain:1
    command: python -c "print(len(open('${{inputs.rows}}').read().split()) - 1)" > ${{outputs.counted}}/count.txt
""",
    "ml/registry.yml": "name: mlr-house\nlocation: westeurope\nreplication_locations: [{location: westeurope}]\n",
    "ml/endpoint.yml": "name: doubles\nauth_mode: key\n",
    "ml/deployment.yml": """\
name: first
endpoint_name: doubles
model: azureml:doubles:1
environment: azureml:plain:1
code_configuration: {code: code, scoring_script: score.py}
instance_type: Standard_DS2_v2
instance_count: 1
request_settings: {max_concurrent_requests_per_instance: 8}
""",
    "ml/code/score.py": """\
import json


def init():
    pass


def run(raw):
    rows = json.loads(raw)["input_data"]
    if any(row["value"] is None for row in rows):
        raise ValueError("error: value is missing")
    return {"predictions": [2.0 * row["value"] for row in rows]}
""",
    "ml/model/input_example.json": json.dumps({"input_data": [{"value": 1}, {"value": 4}]}),
    "ml/model/expected.json": json.dumps({"native": [2.0, 8.0], "scale": 1.0}),
}


def call(folder: Path, module: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", module, *words], cwd=folder, capture_output=True, text=True, check=False, timeout=300)


def test_the_templates_serve_another_repository(tmp_path):
    house = tmp_path / "house"
    for name, text in FILES.items():
        (house / name).parent.mkdir(parents=True, exist_ok=True)
        (house / name).write_text(text, encoding="utf-8")
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *words], cwd=house, check=True, capture_output=True)
    # Their workspace and their model are there already.
    place = ["--resource-group", "rg-house", "--workspace-name", "mlw-house"]
    for command in (
        ["group", "create", "--name", "rg-house", "--location", "westeurope"],
        ["ml", "workspace", "create", "--name", "mlw-house", "--resource-group", "rg-house"],
        ["ml", "model", "create", "--name", "doubles", "--version", "1", "--path", "ml/model", *place],
    ):
        done = call(house, "lockgate.az", *command)
        assert done.returncode == 0, done.stderr
    try:
        done = call(house, "lockgate", "run", "deliver.yml", "--plain", "--logs", "--repo", f"templates={ROOT}")
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
        assert "answers: 2 rows, equal to the native model within tolerance" in done.stdout + done.stderr
        shown = call(house, "lockgate.az", "ml", "online-endpoint", "show", "--name", "doubles", *place, "--query", "traffic.first")
        assert shown.stdout.strip() == "100"
        release_and_go_back(house, place)
    finally:
        call(house, "lockgate", "down")


def release_and_go_back(house: Path, place: list[str]) -> None:
    """Promotion, blue/green release and rollback, of a model that is theirs."""

    def az(*words: str) -> str:
        done = call(house, "lockgate.az", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    # Their endpoint has a deployment of another name: a blue/green release does not share with it.
    az("ml", "registry", "create", "--file", "ml/registry.yml", "--resource-group", "rg-house")
    model = house / "ml/model"
    for version, note in (("2", "two"), ("3", "three")):
        (model / "note.txt").write_text(note)
        (model / "manifest.json").unlink(missing_ok=True)
        files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in model.iterdir()}
        (model / "manifest.json").write_text(json.dumps({"files": files}))
        sha256 = hashlib.sha256((model / "manifest.json").read_bytes()).hexdigest()
        az(
            "ml",
            "model",
            "create",
            "--name",
            "doubles",
            "--version",
            version,
            "--path",
            "ml/model",
            "--set",
            f"tags.manifest_sha256={sha256}",
            *place,
        )
        run = [
            "run",
            "release.yml",
            "--plain",
            "--logs",
            "--repo",
            f"templates={ROOT}",
            "-p",
            f"version={version}",
            "-p",
            f"sha256={sha256}",
        ]
        if version == "2":
            refused = call(house, "lockgate", *run)
            assert refused.returncode == 1
            assert (
                "endpoint doubles has traffic for first (100 %); a blue/green release takes deployments blue and green alone"
                in refused.stdout + refused.stderr
            )
            az("ml", "online-endpoint", "update", "--name", "doubles", "--traffic", "first=0", *place)
        done = call(house, "lockgate", *run, "-p", f"back={'true' if version == '3' else 'false'}")
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    traffic = json.loads(az("ml", "online-endpoint", "show", "--name", "doubles", *place, "--query", "traffic"))
    assert {name: share for name, share in traffic.items() if share} == {"blue": 100}
    champion = az(
        "ml",
        "model",
        "list",
        "--name",
        "doubles",
        "--registry-name",
        "mlr-house",
        "--query",
        "[?tags.champion_now=='yes'].version",
        "-o",
        "tsv",
    )
    assert champion.split() == ["2"]
