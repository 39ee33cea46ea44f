"""The desk and Azure's own library come to the same verdict on the files of assets, resources and jobs.

Where the desk sees more than the library does, the case stands in ONLY_OURS.
"""

from __future__ import annotations

import contextlib
import io
import warnings

import pytest

from lockgate.errors import FileError
from lockgate.execution.job_file import load_job
from lockgate.workspace import specifications
from lockgate.yaml_source import load_yaml

RIGHT = [
    ("model", "name: m\nversion: 1\npath: model\ntype: mlflow_model\ntags: {a: b}\nproperties: {c: d}\nstage: Production\n"),
    ("model", "name: m\npath: model\n"),
    ("data", "name: d\nversion: 1\npath: a.csv\ntype: uri_file\n"),
    ("data", "name: d\npath: model\ntype: uri_folder\ndescription: x\n"),
    ("data", "name: d\npath: https://example.org/a.csv\ntype: uri_file\n"),
    ("environment", "name: e\nversion: 1\nimage: img\nconda_file: conda.yml\n"),
    (
        "environment",
        "name: e\nimage: img\nos_type: linux\ninference_config: {liveness_route: {port: 5001, path: /}, readiness_route: {port: 5001, path: /}, scoring_route: {port: 5001, path: /score}}\n",
    ),
    ("environment", "name: e\nbuild: {path: model}\n"),
    (
        "compute",
        "name: c\ntype: amlcompute\nsize: Standard_DS3_v2\nmin_instances: 0\nmax_instances: 4\nidle_time_before_scale_down: 120\ntier: low_priority\n",
    ),
    ("datastore", "name: d\ntype: azure_blob\naccount_name: a\ncontainer_name: c\n"),
    ("datastore", "name: d\ntype: azure_data_lake_gen2\naccount_name: a\nfilesystem: f\n"),
    ("workspace", "name: w\nlocation: westeurope\ndisplay_name: W\ndescription: d\ntags: {a: b}\npublic_network_access: Disabled\n"),
    ("registry", "name: r\nlocation: westeurope\nreplication_locations: [{location: westeurope}]\n"),
    ("job", "type: command\ncommand: echo ${{inputs.a}}\nenvironment: azureml:e:1\ninputs: {a: 1}\n"),
    ("job", "command: echo\nenvironment: azureml:e:1\n"),
    (
        "job",
        "type: command\ncommand: echo\nenvironment: {image: img}\noutputs: {o: {type: uri_folder}}\nlimits: {timeout: 9}\ntags: {a: b}\n",
    ),
    ("datastore", "name: d\ntype: azure_file\naccount_name: a\nfile_share_name: f\n"),
    ("datastore", "name: d\ntype: azure_data_lake_gen1\nstore_name: s\n"),
]
WRONG = [
    ("model", "name: m\npath: model\ntype: pickle_model\n"),
    ("model", "name: m\npath: model\ncolour: red\n"),
    ("model", "name: m\npath: model\ntags: [a]\n"),
    ("model", "name: m\npath: model\ndescription: [a]\n"),
    ("model", "name: [m]\npath: model\n"),
    ("data", "name: d\npath: a.csv\ntype: csv\n"),
    ("data", "name: d\ntype: uri_file\n"),
    ("data", "name: d\npath: a.csv\ntype: uri_file\nrows: 3\n"),
    ("data", "name: d\npath: a.csv\ntype: uri_file\ntags: text\n"),
    ("environment", "name: e\nimage: img\nos_type: macos\n"),
    ("environment", "name: e\nimage: img\npackages: [a]\n"),
    ("environment", "name: e\nimage: img\ninference_config: {liveness_route: {port: no, path: /}}\n"),
    ("compute", "name: c\ntype: amlcompute\ntier: cheap\n"),
    ("compute", "name: c\ntype: cluster\n"),
    ("compute", "name: c\n"),
    ("compute", "name: c\ntype: amlcompute\nmax_instances: many\n"),
    ("compute", "name: c\ntype: amlcompute\nnodes: 3\n"),
    ("datastore", "name: d\ntype: s3\n"),
    ("datastore", "name: d\n"),
    ("datastore", "name: d\ntype: azure_blob\naccount_name: a\ncontainer_name: c\nregion: x\n"),
    ("datastore", "name: d\ntype: azure_blob\naccount_name: a\n"),
    ("workspace", "name: w\npublic_network_access: sometimes\n"),
    ("workspace", "name: w\ncolour: red\n"),
    ("workspace", "name: w\nhbi_workspace: perhaps\n"),
    ("registry", "name: r\nlocation: westeurope\nreplication_locations: westeurope\n"),
    ("registry", "name: r\nlocation: westeurope\nreplication_locations: [{location: westeurope}]\ncolour: red\n"),
    ("job", "type: command\nenvironment: azureml:e:1\n"),
    ("job", "type: command\ncommand: echo\n"),
    ("job", "type: command\ncommand: echo\nenvironment: azureml:e:1\ncolour: red\n"),
    ("job", "type: command\ncommand: echo\nenvironment: azureml:e:1\nlimits: {timeout: long}\n"),
    ("job", "type: command\ncommand: echo\nenvironment: azureml:e:1\ninputs: {a: {type: csv, path: a.csv}}\n"),
    ("job", "type: comand\ncommand: echo\nenvironment: azureml:e:1\n"),
    ("job", "type: command\ncommand: echo\nenvironment: azureml:e:1\ncode: nowhere\n"),
    ("job", "type: command\ncommand: echo\nenvironment: azureml:e:1\ncomponent: a.yml\n"),
    ("datastore", "name: d\ntype: azure_file\naccount_name: a\nfile_share_name: f\ncontainer_name: c\n"),
    ("datastore", "name: d\ntype: azure_file\naccount_name: a\n"),
    ("datastore", "name: d\ntype: azure_data_lake_gen2\naccount_name: a\n"),
    ("datastore", "name: d\ntype: one_lake\none_lake_workspace_name: w\n"),
    ("datastore", "type: azure_blob\ncontainer_name: c\nname: d\n"),
]
ONLY_OURS = [
    ("model", "name: m\n"),
    ("environment", "name: e\nimage: img\nbuild: {dockerfile_path: x}\n"),
    ("job", "type: command\ncommand: echo ${{inputs.b}}\nenvironment: azureml:e:1\n"),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "MLmodel").touch()
    (tmp_path / "a.csv").touch()
    (tmp_path / "conda.yml").write_text("dependencies: [python]\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def desk_takes(path, kind):
    try:
        if kind == "job":
            load_job(path)
        else:
            specifications.check(load_yaml(path, path.name), kind)
    except FileError:
        return False
    return True


def azure_takes(path, kind):
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        import azure.ai.ml
        from azure.ai.ml.exceptions import ValidationException
        from marshmallow import ValidationError

        try:
            found = getattr(azure.ai.ml, f"load_{kind}")(path)
            # A job is checked further when it is submitted.
            return kind != "job" or found._validate().passed
        except (ValidationException, ValidationError):
            return False


@pytest.mark.parametrize(
    ("kind", "text", "desk", "azure"),
    [*((*case, True, True) for case in RIGHT), *((*case, False, False) for case in WRONG), *((*case, False, True) for case in ONLY_OURS)],
)
def test_the_verdicts(kind, text, desk, azure, folder):
    path = folder / "case.yml"
    path.write_text(text)
    assert (desk_takes(path, kind), azure_takes(path, kind)) == (desk, azure)
