"""Models, data and environments: versions that never change, registries, and what a file may hold."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

CREATE = ("ml", "model", "create", "--name", "m", "--path", "model", "--type", "mlflow_model")


def test_versions_count_up_and_the_same_content_is_the_same_version(cloud):
    assert cloud.get(*CREATE, "--tags", "a=1", "b=2")["version"] == "1"
    assert cloud.get(*CREATE)["version"] == "2"
    again = cloud.get(*CREATE, "--version", "1", "--tags", "a=3")
    assert (again["version"], again["tags"]) == ("1", {"a": "3"})
    assert [one["version"] for one in cloud.get("ml", "model", "list", "--name", "m")] == ["2", "1"]
    assert [one["version"] for one in cloud.get("ml", "model", "list")] == ["2"]


def test_the_same_version_with_other_content_is_refused_in_azures_words(cloud):
    cloud.get(*CREATE, "--version", "1")
    cloud.write("model/data/weights.bin", "others\n")
    message = cloud.refused(1, *CREATE, "--version", "1")
    assert message.startswith(
        "A model with this name and version already exists. If you are trying to create a new model, use a different name or version."
    )
    assert Path(cloud.get("ml", "model", "show", "-n", "m", "-v", "1")["path"], "data/weights.bin").read_text() == "weights\n"


def test_content_is_stored_once_and_read_only(cloud):
    first = Path(cloud.get(*CREATE)["path"]) / "data/weights.bin"
    second = Path(cloud.get(*CREATE)["path"]) / "data/weights.bin"
    shared = Path(cloud.get("ml", "model", "share", "-n", "m", "-v", "1", "--registry-name", "reg1", "--share-with-name", "m", "--share-with-version", "7",
                            "-g", "rg")["path"]) / "data/weights.bin"  # fmt: skip
    assert first.samefile(second)
    assert first.samefile(shared)
    assert not first.stat().st_mode & 0o222
    assert not first.samefile(cloud.folder / "model/data/weights.bin")


def test_promotion_by_exact_version_keeps_every_byte(cloud):
    cloud.get(*CREATE, "--tags", "metric=0.9")
    cloud.get(
        "ml", "model", "share", "-n", "m", "-v", "1", "--registry-name", "reg1", "--share-with-name", "m", "--share-with-version", "1"
    )
    assert cloud.get("ml", "model", "show", "-n", "m", "-v", "1", "--registry-name", "reg1")["tags"] == {}
    cloud.get("ml", "model", "download", "-n", "m", "-v", "1", "--registry-name", "reg1", "--download-path", "out")
    for name in ("MLmodel", "data/weights.bin"):
        assert digest(cloud.folder / "out/m/model" / name) == digest(cloud.folder / "model" / name)
    reference = "azureml://registries/reg1/models/m/versions/1"
    staged = cloud.get("ml", "model", "create", "-n", "m", "-v", "1", "--path", reference, "--type", "mlflow_model", "-w", "stage1")
    assert "/workspaces/stage1/" in staged["id"]
    assert digest(Path(staged["path"]) / "MLmodel") == digest(cloud.folder / "model/MLmodel")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_labels_archive_and_restore(cloud):
    cloud.get(*CREATE)
    cloud.get(*CREATE)
    assert cloud.get("ml", "model", "show", "-n", "m", "--label", "latest")["version"] == "2"
    cloud.get("ml", "model", "archive", "-n", "m", "-v", "2")
    assert cloud.get("ml", "model", "show", "-n", "m", "--label", "latest")["version"] == "1"
    assert [one["version"] for one in cloud.get("ml", "model", "list", "-n", "m")] == ["1"]
    assert [one["version"] for one in cloud.get("ml", "model", "list", "-n", "m", "--archived-only")] == ["2"]
    assert len(cloud.get("ml", "model", "list", "-n", "m", "--include-archived")) == 2
    cloud.get("ml", "model", "restore", "-n", "m")
    assert len(cloud.get("ml", "model", "list", "-n", "m")) == 2


def test_tags_and_description_change_and_nothing_else(cloud):
    cloud.get(*CREATE)
    changed = cloud.get(
        "ml", "model", "update", "-n", "m", "-v", "1", "--set", "tags.champion=yes", "description=the best", "--stage", "Production"
    )
    assert (changed["tags"], changed["description"], changed["stage"]) == ({"champion": "yes"}, "the best", "Production")
    assert cloud.get("ml", "model", "update", "-n", "m", "-v", "1", "--remove", "tags.champion")["tags"] == {}
    assert cloud.refused(2, "ml", "model", "update", "-n", "m", "-v", "1", "--set", "path=other").startswith(
        "--set path: allowed: tags.NAME, properties.NAME, description, stage; the rest never changes"
    )


def test_data_of_every_type_from_files(cloud):
    cloud.write("table/MLTable", "paths: []\n")
    cloud.write("a.csv", "a\n1\n")
    for kind, path in (("uri_file", "a.csv"), ("uri_folder", "model"), ("mltable", "table")):
        cloud.write("data.yml", f"name: d-{kind.replace('_', '-')}\ntype: {kind}\npath: {path}\ntags: {{rows: 1}}\n")
        made = cloud.get("ml", "data", "create", "-f", "data.yml", "--set", "description=some")
        assert (made["type"], made["tags"], made["description"]) == (kind, {"rows": "1"}, "some")
    made = cloud.get("ml", "data", "show", "-n", "d-uri-file", "-v", "1")
    assert Path(made["path"]).read_text() == "a\n1\n"


@pytest.mark.parametrize(
    ("command", "text", "message"),
    [
        ("model", "name: m\npath: model\ntyp: mlflow_model\n", "x.yml:3:1: unknown key 'typ' of a file of kind model; did you mean 'type'?"),
        ("model", "name: m\npath: model\ntype: pickle\n", "x.yml:3:7: type: found 'pickle'; allowed: custom_model, mlflow_model, triton_model"),
        ("model", "name: m\n", "x.yml:1:1: a file of kind model needs path:"),
        ("model", "name: m\npath: nowhere\n", "x.yml:2:7: path: there is no file or folder 'nowhere'; mend the path"),
        ("model", "name: m\npath: table\ntype: mlflow_model\n", "x.yml:2:7: path: 'table' has no file MLmodel, which type mlflow_model needs"),
        ("data", "name: d\npath: model\ntype: uri_file\n", "x.yml:2:7: path: 'model' is a folder; allowed: a file, or type uri_folder"),
        ("environment", "name: e\nconda_file: conda.yml\n", "x.yml:1:1: an environment needs image: or build:"),
        ("environment", "name: e\nimage: i\nconda_file: none.yml\n", "x.yml:3:13: conda_file: there is no file 'none.yml'; mend the path"),
        ("model", "name: m\nname: n\npath: model\n", "x.yml:2:1: key 'name' is there twice; remove one"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_file_is_reported_at_its_place(cloud, command, text, message):
    cloud.write("table/other", "x")
    cloud.write("x.yml", text)
    assert cloud.refused(1, "ml", command, "create", "--file", "x.yml").startswith(message)
    assert cloud.get("ml", command, "list") == []


def test_environments_keep_their_conda_file(cloud):
    cloud.write("conda.yml", "dependencies: [python=3.12]\n")
    cloud.write("e.yml", "name: e\nimage: img\nconda_file: conda.yml\n")
    made = cloud.get("ml", "environment", "create", "-f", "e.yml")
    assert (made["version"], made["conda_file"]) == ("1", {"dependencies": ["python=3.12"]})
    assert cloud.get("ml", "environment", "create", "-f", "e.yml", "--version", "1")["version"] == "1"
    cloud.write("conda.yml", "dependencies: [python=3.13]\n")
    assert "already exists" in cloud.refused(1, "ml", "environment", "create", "-f", "e.yml", "--version", "1")


def test_several_at_once_lose_nothing(cloud):
    def one(number: int) -> str:
        return str(cloud.get("ml", "model", "create", "-n", "m", "--path", "model", "--tags", f"n={number}")["version"])

    with ThreadPoolExecutor(6) as pool:
        versions = list(pool.map(one, range(12)))
    assert sorted(map(int, versions)) == list(range(1, 13))


def test_killed_at_any_moment_nothing_is_half_there(cloud):
    big = cloud.folder / "big"
    big.mkdir()
    for number in range(40):
        (big / f"{number}.bin").write_bytes(os.urandom(200_000))
    for delay in (0.05, 0.08, 0.1, 0.12, 0.15, 0.2):
        process = subprocess.Popen(
            [sys.executable, "-m", "lockgate.az", "ml", "model", "create", "-n", "big", "--path", "big", "--version", "1"],
            cwd=cloud.folder, env={**os.environ, "LOCKGATE_ROOT": str(cloud.folder)}, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        for one in cloud.get("ml", "model", "list", "-n", "big"):
            assert sorted(p.name for p in Path(one["path"]).iterdir()) == sorted(p.name for p in big.iterdir())
    made = cloud.get("ml", "model", "create", "-n", "big", "--path", "big", "--version", "1")
    assert all(digest(Path(made["path"]) / p.name) == digest(p) for p in big.iterdir())


@pytest.mark.long
def test_a_thousand_assets_are_listed(cloud):
    sys.path.insert(0, str(Path(__file__).parents[3] / "src"))
    from lockgate.workspace import assets
    from lockgate.workspace.store import Store

    store = Store(cloud.folder, "dev1")
    for number in range(1000):
        assets.create(store, "model", f"m{number % 100}", type="custom_model", path=f"https://example.com/{number}")
    assert len(cloud.get("ml", "model", "list", "--query", "[].name")) == 100
    assert len(json.loads(cloud.az("ml", "model", "list", "-n", "m7").stdout)) == 10


def test_a_datastore_needs_what_its_type_needs(cloud):
    cloud.write("d.yml", "name: d\ntype: azure_blob\naccount_name: a\nfilesystem: f\n")
    said = cloud.refused(1, "ml", "datastore", "create", "--file", "d.yml")
    assert "d.yml:4:1: unknown key 'filesystem'" in said
    assert "needs container_name:" in said
    cloud.write("d.yml", "name: d\ntype: s3\n")
    assert cloud.refused(1, "ml", "datastore", "create", "--file", "d.yml").startswith("d.yml:2:7: type: found 's3'; allowed: azure_blob")


@pytest.mark.parametrize("kind", ["model", "data", "environment"])
@pytest.mark.parametrize("option", ["--name", "--version"])
def test_a_name_or_version_is_no_path(cloud, kind, option):
    cloud.get(*CREATE)
    content = ("--image", "img") if kind == "environment" else ("--path", "model")
    for text in ("../good", "../../../../out", "..", "a/b", "²", "a b"):
        words = {"--name": "n", "--version": "1", option: text}
        done = cloud.az("ml", kind, "create", *(word for pair in words.items() for word in pair), *content)
        assert (done.returncode, done.stdout) == (1, "")
        assert f"{kind} {option[2:]} {text!r}: allowed: letters, digits" in done.stderr
    assert len(cloud.get("ml", "model", "list")) == 1
    assert not (cloud.folder.parent / "out").exists()


def test_updates_at_once_are_all_kept(cloud):
    cloud.get(*CREATE)
    environment = {**os.environ, "LOCKGATE_ROOT": str(cloud.folder)}
    command = [sys.executable, "-m", "lockgate.az", "ml", "model", "update", "-n", "m", "-v", "1", "-o", "none", "--set"]
    all_ = [subprocess.Popen([*command, f"tags.t{number}=1"], cwd=cloud.folder, env=environment) for number in range(6)]
    assert [process.wait(timeout=100) for process in all_] == [0] * 6
    assert cloud.get("ml", "model", "show", "-n", "m", "-v", "1", "--query", "length(tags)") == 6


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: [1", "bad.yml:1:4: "), ("- a", "bad.yml:1:1: found a list; allowed: a conda file")],
)
def test_a_conda_file_with_a_mistake(cloud, text, message):
    cloud.write("bad.yml", text)
    assert cloud.refused(1, "ml", "environment", "create", "-n", "e", "--image", "i", "--conda-file", "bad.yml").startswith(message)


def test_a_conda_file_with_a_date(cloud):
    cloud.write("date.yml", "name: x\nd: 2020-01-01\n")
    made = cloud.get("ml", "environment", "create", "-n", "e", "--image", "i", "--conda-file", "date.yml")
    assert made["conda_file"] == {"name": "x", "d": "2020-01-01"}
