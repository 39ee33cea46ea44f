"""Nodes of type parallel: what a script gets and gives, in which order, and what becomes of failures."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.long
SCRIPTS = {
    "echo.py": """\
        from pathlib import Path

        def run(mini_batch):
            return [Path(name).name for name in mini_batch]
        """,
    "first_is_last.py": """\
        import time
        from pathlib import Path

        def run(mini_batch):
            (name,) = (Path(name).name for name in mini_batch)
            while name == "0" and len(list(Path().glob("ended-*"))) < 5:
                time.sleep(0.01)
            Path(f"ended-{name}").touch()
            with open("ended.txt", "a") as file:
                file.write(f"{name}\\n")
            return [name]
        """,
    "wait_for_each_other.py": """\
        import time
        from pathlib import Path

        def run(mini_batch):
            (name,) = (Path(name).name for name in mini_batch)
            Path(f"begun-{name}").touch()
            while len(list(Path().glob("begun-*"))) < 3:
                time.sleep(0.01)
            return [name]
        """,
    "third_time.py": """\
        from pathlib import Path

        def run(mini_batch):
            for name in map(Path, mini_batch):
                tries = Path(f"tries-{name.name}")
                with tries.open("a") as file:
                    file.write("x")
                if name.name in ("1", "4") and len(tries.read_text()) < 3:
                    raise ValueError(f"not yet {name.name}")
            return [f"{Path(name).name} {len(Path(f'tries-{Path(name).name}').read_text())}" for name in mini_batch]
        """,
    "hangs_once.py": """\
        import threading
        from pathlib import Path

        def run(mini_batch):
            names = [Path(name).name for name in mini_batch]
            if "2" in names and not Path("hung").exists():
                Path("hung").touch()
                threading.Event().wait()
            return names
        """,
    "hangs.py": """\
        import threading
        from pathlib import Path

        def run(mini_batch):
            names = [Path(name).name for name in mini_batch]
            if "2" in names:
                threading.Event().wait()
            return names
        """,
    "fails_at.py": """\
        import os
        from pathlib import Path

        def run(mini_batch):
            names = [Path(name).name for name in mini_batch]
            if set(names) & set(os.environ["FAILS_AT"].split()):
                raise ValueError(f"can't read {names}")
            return names
        """,
    "leaves_one_out.py": """\
        from pathlib import Path

        def run(mini_batch):
            return [Path(name).name for name in mini_batch][:-1]
        """,
    "gives_two.py": """\
        from pathlib import Path

        def run(mini_batch):
            return [f"{Path(name).name}{part}" for name in mini_batch for part in "ab"]
        """,
    "gives_nothing.py": """\
        def run(mini_batch):
            return None
        """,
    "gives_a_text.py": """\
        def run(mini_batch):
            return "a text"
        """,
    "init_raises.py": """\
        def init():
            raise FileNotFoundError("no model here")

        def run(mini_batch):
            return mini_batch
        """,
    "without_run.py": """\
        def init():
            pass
        """,
    "dies_once.py": """\
        import os
        from pathlib import Path

        def run(mini_batch):
            if not Path("died").exists():
                Path("died").touch()
                os._exit(7)
            return [Path(name).name for name in mini_batch]
        """,
    "dies.py": """\
        import os
        from pathlib import Path

        def run(mini_batch):
            if "3" in (Path(name).name for name in mini_batch):
                os._exit(7)
            return [Path(name).name for name in mini_batch]
        """,
    "arguments.py": """\
        import json
        import sys

        def run(mini_batch):
            return [json.dumps(sys.argv[1:])]
        """,
    "prints.py": """\
        import os
        import sys
        from pathlib import Path

        def init():
            print("init says", os.environ["COLOUR"])

        def run(mini_batch):
            print("run says", *(Path(name).name for name in mini_batch))
            print("and to stderr", file=sys.stderr)
            os.system("echo so does a process of its own")
            return mini_batch

        def shutdown():
            print("shutdown says bye")
        """,
    "frames.py": """\
        import pandas as pd
        from pathlib import Path

        def run(mini_batch):
            names = [int(Path(name).name) for name in mini_batch]
            return pd.DataFrame({"name": names, "half": [name / 2 for name in names], "text": ["two words"] * len(names)})
        """,
}
ODD = ["a b", "it's", "ü$(x);"]
HARSH = {"max_retries": 0, "timeout": 30}


def node(script, size="1", files="six", *, kind="uri_folder", **settings):
    """A parallel node whose settings are as in YAML; those of its task begin with task_."""
    task = {key.removeprefix("task_"): value for key, value in settings.items() if key.startswith("task_")}
    return {
        "type": "parallel",
        "inputs": {"files": {"type": kind, "path": files}, **settings.pop("inputs", {})},
        "outputs": {"rows": {"type": "uri_file"}},
        "input_data": "${{inputs.files}}",
        "mini_batch_size": size,
        "retry_settings": HARSH,
        **{key: value for key, value in settings.items() if not key.startswith("task_")},
        "task": {
            "type": "run_function",
            "code": "src",
            "entry_script": script,
            "environment": "azureml:any:1",
            "append_row_to": "${{outputs.rows}}",
            **task,
        },
    }


def fails_at(names, size="1", **settings):
    return node("fails_at.py", size, environment_variables={"FAILS_AT": names}, **settings)


WORDS = """\
    plain "two words" 'single $HOME' $(touch made) `touch made` ; touch made && touch made | cat > made * ~ #no-comment
    back\\ slash "" --model=${{inputs.files}}/more ${{ inputs.text }} "${{inputs.text}}" "say: ${{inputs.text}}!" --number ${{inputs.number}}"""
NODES = {
    "order": node("first_is_last.py", max_concurrency_per_instance=2),
    "at_once": node("wait_for_each_other.py", files="three", resources={"instance_count": 3}),
    "retries": node("third_time.py", "2", retry_settings={"max_retries": 2, "timeout": 30}, error_threshold=0),
    "too_few_retries": node("third_time.py", "2", retry_settings={"max_retries": 1, "timeout": 30}, error_threshold=0),
    "hangs_once": node("hangs_once.py", "2", retry_settings={"max_retries": 1, "timeout": 2}, error_threshold=0),
    "hangs": node("hangs.py", "2", retry_settings={"max_retries": 0, "timeout": 2}),
    "all_pass": fails_at("1 3"),
    "files_0": fails_at("1 3", error_threshold=0),
    "files_1": fails_at("1 3", error_threshold=1),
    "files_2": fails_at("1 3", error_threshold=2),
    "files_of_a_batch": fails_at("1", size="3", error_threshold=2),
    "batches_0": fails_at("1", size="3", mini_batch_error_threshold=0),
    "batches_1": fails_at("1", size="3", mini_batch_error_threshold=1),
    "batches_too_many": fails_at("1 5", size="3", mini_batch_error_threshold=1),
    "none_fails": fails_at("9", error_threshold=0, mini_batch_error_threshold=0),
    "fewer_pass": node("leaves_one_out.py", "3", error_threshold=2, mini_batch_error_threshold=0),
    "fewer": node("leaves_one_out.py", "3", error_threshold=1),
    "more": node("gives_two.py", "4", error_threshold=0),
    "nothing": node("gives_nothing.py", "3", error_threshold=5),
    "text": node("gives_a_text.py", "3", mini_batch_error_threshold=0),
    "init": node("init_raises.py"),
    "no_run": node("without_run.py"),
    "dies_once": node("dies_once.py", "2", retry_settings={"max_retries": 1, "timeout": 30}, error_threshold=0),
    "dies": node("dies.py", "2", retry_settings={"max_retries": 1, "timeout": 30}),
    "words": node("arguments.py", "6", inputs={"text": 'it\'s $(x) "y"; z', "number": 5}, task_program_arguments=WORDS),
    "prints": node("prints.py", "3", environment_variables={"COLOUR": "red"}),
    "empty": node("echo.py", files="empty"),
    "one_file": node("echo.py", files="six/4", kind="uri_file"),
    "folders": node("echo.py", "2", files="folders"),
    "names": node("echo.py", files="odd names"),
    "frames": node("frames.py", "4"),
}


@pytest.fixture(scope="module")
def ran(shared):
    """All nodes in one job, run once: what --json says of it, and what came on stderr."""
    for name, text in SCRIPTS.items():
        shared.write(f"src/{name}", text)
    for number in range(6):
        shared.write(f"six/{number}", f"{number}\n")
        shared.write(f"folders/{number % 2}/{number}", f"{number}\n")
    for number in range(3):
        shared.write(f"three/{number}", f"{number}\n")
    for name in ODD:
        shared.write(f"odd names/{name}", "odd\n")
    for name in ("folders/.hidden", "folders/0/.hidden", "folders/.more/x", "folders/_SUCCESS"):
        shared.write(name, "hidden\n")
    (shared.folder / "empty").mkdir()
    job = {"type": "pipeline", "settings": {"continue_on_step_failure": True}, "jobs": NODES}
    shared.write("job.yml", yaml.safe_dump(job, sort_keys=False))
    done = shared.run("job.yml", "--json")
    assert done.stdout, done.stderr
    return json.loads(done.stdout), done.stderr


def rows(ran, name):
    """The appended results of a node that must have completed."""
    assert name in ran[0]["outputs"], log(ran, name)
    return Path(ran[0]["outputs"][name]["rows"]).read_text().splitlines()


def log(ran, name):
    return (Path(ran[0]["folder"]) / name / "log.txt").read_text()


def failure(ran, name):
    """The log of a node that must have failed."""
    assert name not in ran[0]["outputs"]
    assert f"✘ {name} " in ran[1]
    return log(ran, name)


def test_results_are_in_the_order_of_the_files_whatever_process_is_first(ran):
    assert rows(ran, "order") == ["0", "1", "2", "3", "4", "5"]
    ended = (Path(ran[0]["folder"]) / "order" / "code" / "ended.txt").read_text().split()
    assert ended[-1] == "0"


def test_mini_batches_run_at_once_in_as_many_processes_as_instances_and_concurrency_say(ran):
    assert rows(ran, "at_once") == ["0", "1", "2"]
    assert "3 files in 3 mini batches for 3 processes\n" in log(ran, "at_once")


def test_a_mini_batch_that_raises_is_tried_again(ran):
    assert rows(ran, "retries") == ["0 3", "1 3", "2 1", "3 1", "4 3", "5 1"]
    assert "3 of 3 mini batches, 6 results, 4 mini batches tried again\n" in log(ran, "retries")


def test_after_the_last_try_its_files_have_failed(ran):
    said = failure(ran, "too_few_retries")
    assert "mini batch 0 (0, 1) failed 2 times: ValueError: not yet 1\n" in said
    assert "stopped: 2 failures are more than error_threshold 0\n" in said


def test_a_mini_batch_that_takes_too_long_is_ended_and_tried_again(ran):
    assert rows(ran, "hangs_once") == ["0", "1", "2", "3", "4", "5"]
    assert "6 results, 1 mini batches tried again\n" in log(ran, "hangs_once")


def test_a_mini_batch_that_always_takes_too_long_has_failed(ran):
    assert rows(ran, "hangs") == ["0", "1", "4", "5"]
    assert "failed 1 times: it took longer than retry_settings.timeout of 2 s\n" in log(ran, "hangs")


def test_without_thresholds_every_failure_passes(ran):
    assert rows(ran, "all_pass") == ["0", "2", "4", "5"]
    assert "6 of 6 mini batches, 4 results, 2 files failed\n" in log(ran, "all_pass")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("files_0", "1 failures are more than error_threshold 0"),
        ("files_1", "2 failures are more than error_threshold 1"),
        ("files_of_a_batch", "3 failures are more than error_threshold 2"),
        ("batches_0", "1 failures are more than mini_batch_error_threshold 0"),
        ("batches_too_many", "2 failures are more than mini_batch_error_threshold 1"),
    ],
)
def test_more_failures_than_a_threshold_end_the_node(ran, name, why):
    assert f"stopped: {why}\n" in failure(ran, name)


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("files_2", ["0", "2", "4", "5"]),
        ("batches_1", ["3", "4", "5"]),
        ("none_fails", ["0", "1", "2", "3", "4", "5"]),
    ],
)
def test_as_many_failures_as_a_threshold_pass(ran, name, right):
    assert rows(ran, name) == right


def test_a_file_without_a_result_has_failed_and_its_mini_batch_has_not(ran):
    assert rows(ran, "fewer_pass") == ["0", "1", "3", "4"]
    said = failure(ran, "fewer")
    assert "mini batch 0: run() gave 2 results for 3 files\n" in said
    assert "stopped: 2 failures are more than error_threshold 1\n" in said


def test_a_run_that_gives_nothing_has_failed_at_every_file(ran):
    assert "stopped: 6 failures are more than error_threshold 5\n" in failure(ran, "nothing")


def test_more_results_than_files_are_all_appended(ran):
    assert rows(ran, "more") == [f"{number}{part}" for number in range(6) for part in "ab"]


def test_a_text_is_no_result(ran):
    assert "TypeError: run() returned a text; allowed: a list, or a data frame\n" in failure(ran, "text")


def test_an_init_that_raises_ends_the_node_with_its_traceback(ran):
    said = failure(ran, "init")
    assert "Traceback (most recent call last):\n" in said
    assert said.endswith("init() failed: FileNotFoundError: no model here\n")


def test_a_script_without_run_ends_the_node(ran):
    assert "the script has no function run(mini_batch)\n" in failure(ran, "no_run")


def test_a_process_that_dies_is_followed_by_another(ran):
    assert rows(ran, "dies_once") == ["0", "1", "2", "3", "4", "5"]


def test_a_mini_batch_whose_process_always_dies_has_failed(ran):
    assert rows(ran, "dies") == ["0", "1", "4", "5"]
    assert "mini batch 1 (2, 3) failed 2 times: its process ended with exit code 7\n" in log(ran, "dies")


def test_every_argument_stays_one_word_and_nothing_in_it_is_run(ran, shared):
    text = 'it\'s $(x) "y"; z'
    (row,) = rows(ran, "words")
    assert json.loads(row) == [
        "plain", "two words", "single $HOME", "$(touch", "made)", "`touch", "made`", ";", "touch", "made", "&&", "touch", "made", "|", "cat",
        ">", "made", "*", "~", "#no-comment", "back slash", "", f"--model={shared.folder / 'six'}/more", text, text, f"say: {text}!",
        "--number", "5",
    ]  # fmt: skip
    assert not (Path(ran[0]["folder"]) / "words" / "code" / "made").exists()


def test_what_a_script_prints_is_in_the_log_of_its_node(ran):
    said = log(ran, "prints")
    for line in (
        "init says red",
        "run says 0 1 2",
        "run says 3 4 5",
        "and to stderr",
        "so does a process of its own",
        "shutdown says bye",
    ):
        assert f"{line}\n" in said


def test_a_folder_without_files_ends_the_node(ran, shared):
    assert failure(ran, "empty") == f"there is no file in {shared.folder / 'empty'}\n"


def test_a_file_is_one_mini_batch(ran):
    assert rows(ran, "one_file") == ["4"]


def test_files_of_folders_are_taken_in_order_and_hidden_ones_are_not(ran):
    assert rows(ran, "folders") == ["0", "2", "4", "1", "3", "5", "_SUCCESS"]


def test_a_name_of_a_file_may_hold_blanks_quotes_and_letters_of_any_script(ran):
    assert rows(ran, "names") == ODD


def test_rows_of_data_frames_are_appended_with_blanks_between(ran):
    assert rows(ran, "frames") == [f'{number} {number / 2} "two words"' for number in range(6)]


def test_an_interrupted_node_leaves_no_process_behind(desk):
    desk.write("files/0", "0\n")
    desk.write(
        "src/stays.py",
        """\
        import os
        import threading
        from pathlib import Path

        def run(mini_batch):
            Path(os.environ["TOLD"]).write_text(f"{os.getpid()}\\n")
            threading.Event().wait()
        """,
    )
    stays = node("stays.py", files="files", environment_variables={"TOLD": str(desk.folder / "pid.txt")})
    desk.write("job.yml", yaml.safe_dump({"type": "pipeline", "jobs": {"stays": stays}}))
    process = desk.start()
    worker = desk.pid("pid.txt")
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    desk.wait_until(lambda: not desk.is_alive(worker), "the worker to end")
