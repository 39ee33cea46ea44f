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


ONLINE = (
    "name: blue\nendpoint_name: ep1\nmodel: azureml:m:1\nenvironment: azureml:e:1\n"
    "code_configuration: {code: code, scoring_script: score.py}\ninstance_type: x\n"
)
BATCH = (
    "name: first\nendpoint_name: ep1\ntype: model\nmodel: azureml:m:1\nenvironment: azureml:e:1\n"
    "code_configuration: {code: code, scoring_script: score.py}\ncompute: azureml:cpu\n"
)
SCHEDULE = "name: weekly\ntrigger: {type: cron, expression: '0 6 * * 1'}\ncreate_job: ./job.yml\n"
RIGHT += [
    *(("online_endpoint", f"name: ep1\n{more}") for more in (
        "", "auth_mode: key\n", "auth_mode: aad_token\ntags: {a: b}\ndescription: d\n", "auth_mode: AADToken\n", "traffic: {blue: 100}\n",
        "mirror_traffic: {green: 10}\n", "identity: {type: system_assigned}\n", "public_network_access: disabled\n")),
    *(("online_deployment", ONLINE + more) for more in (
        "", "instance_count: 2\n", "instance_count: '2'\n", "request_settings: {request_timeout_ms: 3000, max_concurrent_requests_per_instance: 2}\n",
        "liveness_probe: {initial_delay: 1, period: 1, timeout: 1, success_threshold: 1, failure_threshold: 1}\n", "environment_variables: {A: b}\n",
        "app_insights_enabled: true\n", "scale_settings: {type: default}\n", "data_collector: {collections: {model_inputs: {enabled: 'True'}}}\n",
        "tags: {a: b}\n", "egress_public_network_access: disabled\n", "model_mount_path: /x\n")),
    ("online_deployment", ONLINE.replace("azureml:e:1", "{image: img}")),
    ("batch_endpoint", "name: ep1\n"),
    ("batch_endpoint", "name: ep1\nauth_mode: aad_token\ndefaults: {deployment_name: a}\n"),
    ("batch_deployment", BATCH),
    ("batch_deployment", BATCH + "settings: {mini_batch_size: 2, max_concurrency_per_instance: 1, output_action: append_row, output_file_name: a.csv, "
     "error_threshold: 1, retry_settings: {max_retries: 1, timeout: 3}, logging_level: info}\n"),
    ("schedule", SCHEDULE),
    ("schedule", SCHEDULE.replace("type: cron, expression: '0 6 * * 1'", "type: recurrence, frequency: week, interval: 1")),
]  # fmt: skip
WRONG += [
    ("online_endpoint", "auth_mode: key\n"),
    *(("online_endpoint", f"name: ep1\n{more}") for more in (
        "auth_mode: none\n", "traffic: {blue: x}\n", "traffic: 100\n", "colour: red\n", "description: 5\n", "identity: {type: foo}\n",
        "public_network_access: maybe\n", "tags: [a]\n")),
    *(("online_deployment", ONLINE + more) for more in (
        "instance_count: two\n", "request_settings: {timeout: 1}\n", "liveness_probe: {path: /x}\n", "liveness_probe: {delay: 1}\n",
        "environment_variables: [A]\n", "app_insights_enabled: perhaps\n", "scale_settings: {type: odd}\n",
        "data_collector: {collections: {model_inputs: {enabled: true}}}\n", "data_collector: {collections: {model_inputs: {enabled: maybe}}}\n",
        "data_collector: {collections: {}, sampling_rate: x}\n", "colour: red\n", "startup_probe: {period: 1}\n", "resources: {requests: {cpu: 1}}\n")),
    *(("online_deployment", ONLINE.replace(old, new)) for old, new in (
        ("instance_type: x\n", ""), ("name: blue\n", ""), ("endpoint_name: ep1\n", ""), ("azureml:e:1", "{image: img, foo: x}"))),
    *(("batch_endpoint", text) for text in ("name: ep1\ndefaults: {deployment: a}\n", "name: ep1\ntraffic: {a: 100}\n", "description: x\n")),
    *(("batch_deployment", BATCH + more) for more in (
        "settings: {output_action: append}\n", "settings: {mini_batch: 2}\n", "settings: {retry_settings: {retries: 1}}\n",
        "settings: {mini_batch_size: many}\n", "colour: red\n")),
    *(("schedule", SCHEDULE.replace(old, new)) for old, new in (
        ("type: cron", "type: corn"), ("name: weekly\n", ""), ("create_job", "colour: red\ncreate_job"),
        ("type: cron, expression: '0 6 * * 1'", "type: recurrence, frequency: yearly, interval: 1"))),
]  # fmt: skip
ONLY_OURS += [
    ("batch_endpoint", "name: ep1\nauth_mode: key\n"),  # The library lets it pass and the service does not.
    ("online_deployment", ONLINE + "instance_count: 0\n"),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "MLmodel").touch()
    (tmp_path / "a.csv").touch()
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "score.py").touch()
    (tmp_path / "job.yml").write_text("type: command\ncommand: echo\nenvironment: azureml:e:1\ncompute: azureml:c\n")
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
        from azure.ai.ml.entities import _load_functions
        from azure.ai.ml.exceptions import ValidationException
        from marshmallow import ValidationError

        # The command line reads a batch deployment with a type by this one.
        name = {"batch_deployment": "model_batch_deployment"}.get(kind, kind)
        try:
            found = getattr(_load_functions, f"load_{name}")(path)
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
