"""What is unchanged is not run again; what changed is, with all that depends on it, and nothing else."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

JOB = """\
    type: pipeline
    inputs:
      table: {type: uri_file, path: table.csv}
      rows: 3
    settings: {force_rerun: false}
    jobs:
      prep: {type: command, component: prep.yml, inputs: {table: "${{parent.inputs.table}}"}}
      train: {type: command, component: train.yml, inputs: {made: "${{parent.jobs.prep.outputs.made}}", rows: "${{parent.inputs.rows}}"}}
      apart: {type: command, command: cat notes.txt, code: notes, environment: "azureml:any:1"}
    """
PREP = """\
    type: command
    inputs: {table: {type: uri_file}}
    outputs: {made: {type: uri_folder}, one: {type: uri_file}}
    code: src
    environment: azureml:any:1
    command: sh prep.sh ${{inputs.table}} ${{outputs.made}} ${{outputs.one}}
    """
TRAIN = """\
    type: command
    inputs: {made: {type: uri_folder}, rows: {type: integer}}
    outputs: {model: {type: uri_folder}}
    environment: azureml:any:1
    command: cat ${{inputs.made}}/table.csv; echo ${{inputs.rows}} > ${{outputs.model}}/model
    """


@pytest.fixture(scope="module")
def desk(shared):
    shared.write("job.yml", JOB)
    shared.write("prep.yml", PREP)
    shared.write("train.yml", TRAIN)
    shared.write("table.csv", "a,b\n1,2\n")
    shared.write("src/prep.sh", "cp $1 $2/table.csv; wc -l < $1 > $3\n")
    shared.write("src/.amlignore", "# not code\n*.log\n/drafts/\n!keep.log\n")
    shared.write("notes/notes.txt", "a note\n")
    shared.write("notes/.gitignore", "private/\n")
    shared.outcome()
    return shared


def reused(desk, *options):
    return sorted(desk.outcome("job.yml", *options)["reused"])


ALL = ["apart", "prep", "train"]


def test_an_unchanged_job_reuses_every_node_and_names_the_first_results(desk):
    first = desk.outcome()
    again = desk.outcome()
    assert sorted(again["reused"]) == ALL
    assert again["outputs"] == first["outputs"]
    assert again["name"] != first["name"]
    shown = desk.run().stdout
    assert "3 of 3 nodes reused" in shown
    assert "prep   reused: unchanged since " in shown


@pytest.mark.long
def test_a_changed_literal_reruns_the_node_that_reads_it(desk):
    assert reused(desk, "--set", "inputs.rows=4") == ["apart", "prep"]
    assert reused(desk, "--set", "inputs.rows=4") == ALL


def test_changed_content_of_an_input_reruns_what_depends_on_it(desk):
    desk.write("table.csv", "a,b\n5,6\n")
    assert reused(desk) == ["apart"]
    desk.write("table.csv", "a,b\n1,2\n")
    assert reused(desk) == ALL


def test_a_touched_or_copied_input_with_the_same_content_is_unchanged(desk):
    os.utime(desk.folder / "table.csv", (1, 1))
    shutil.copyfile(desk.folder / "table.csv", desk.folder / "copy.csv")
    assert reused(desk, "--set", "inputs.table.path=copy.csv") == ALL


def test_a_node_whose_input_comes_out_the_same_is_reused_though_the_one_before_it_ran(desk):
    desk.write("src/prep.sh", "# a remark\ncp $1 $2/table.csv; wc -l < $1 > $3\n")
    assert reused(desk) == ["apart", "train"]


@pytest.mark.long
def test_a_changed_command_reruns_its_node(desk):
    desk.write("train.yml", TRAIN.replace("cat ", "head "))
    assert reused(desk) == ["apart", "prep"]


def test_what_amlignore_leaves_out_changes_nothing(desk):
    desk.write("src/debug.log", "noise\n")
    desk.write("src/drafts/idea.txt", "an idea\n")
    desk.write("src/__pycache__/prep.pyc", "bytes\n")
    desk.write("notes/private/diary.txt", "dear diary\n")
    assert reused(desk) == ALL


@pytest.mark.long
def test_what_amlignore_takes_back_in_is_code(desk):
    desk.write("src/keep.log", "kept\n")
    assert reused(desk) == ["apart", "train"]


@pytest.mark.long
def test_rerun_runs_everything(desk):
    assert reused(desk, "--rerun") == []
    assert reused(desk) == ALL


@pytest.mark.long
def test_force_rerun_of_the_file_is_obeyed(desk):
    assert reused(desk, "--set", "settings.force_rerun=true") == []


@pytest.mark.long
def test_a_changed_environment_of_a_node_reruns_it(desk):
    assert reused(desk, "--set", "jobs.train.environment=azureml:other:2") == ["apart", "prep"]


@pytest.mark.parametrize("gone", ["made", "one", "made/table.csv"])
@pytest.mark.long
def test_results_that_were_deleted_are_not_reused(gone, desk):
    outputs = desk.outcome()["outputs"]["prep"]
    output, _, inner = gone.partition("/")
    path = Path(outputs[output], inner) if inner else Path(outputs[output])
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert "prep" not in reused(desk)


@pytest.mark.long
def test_a_node_that_is_not_deterministic_is_never_reused(desk):
    changed = "jobs.apart.is_deterministic=false"
    assert reused(desk, "--set", changed) == ["prep", "train"]
    assert reused(desk, "--set", changed) == ["prep", "train"]


def test_a_node_that_failed_is_not_reused(desk):
    desk.write("fail.yml", "type: pipeline\njobs: {bad: {type: command, command: exit 1, environment: 'azureml:any:1'}}\n")
    assert [desk.run("fail.yml").returncode for _ in range(2)] == [1, 1]
