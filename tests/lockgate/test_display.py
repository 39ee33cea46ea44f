"""What a run shows: plain lines for a file or a pipe, a live tree for a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import time

import pytest

JOB = """\
    type: pipeline
    display_name: A job to look at
    jobs:
      talker:
        type: command
        command: python talk.py
        code: src
        environment: {image: minimal}
        outputs: {o: {type: uri_folder}}
      other: {type: command, command: echo the other, environment: {image: minimal}}
      after: {type: command, command: "ls ${{inputs.i}}; echo over", environment: {image: minimal},
              inputs: {i: "${{parent.jobs.talker.outputs.o}}"}}
    """
TALK = """\
    print("begun " + "long " * 100 + "end", flush=True)
    import os, time
    deadline = time.monotonic() + 30
    while not os.path.exists(os.environ["GO"]) and time.monotonic() < deadline:
        time.sleep(0.02)
    print("\\033[31mred\\033[0m \\033[2Jcleared [bold]not bold[/bold]", flush=True)
    """
COLUMNS = 80


@pytest.fixture(scope="module")
def desk(shared):
    shared.write("job.yml", JOB)
    shared.write("src/talk.py", TALK)
    return shared


def test_lines_for_a_pipe_hold_every_change_and_no_control_codes(desk):
    (desk.folder / "already").touch()
    done = desk.run("job.yml", "--jobs", "1", GO=str(desk.folder / "already"))
    assert done.returncode == 0
    lines = [re.sub(r"^\[ *\d+\.\d s\] ", "", line) for line in done.stdout.splitlines()]
    assert re.fullmatch(r"job \w+ \(A job to look at\), 3 nodes", lines[0])
    changes = [re.sub(r"( in \d+\.\d s)?(: .*)?$", "", line).split() for line in lines[1:-1]]
    assert [change[1:] for change in changes] == [
        [node, status] for node in ("talker", "other", "after") for status in ("running", "completed")
    ]
    assert lines[-2].endswith(": over")
    assert re.fullmatch(r"Completed: A job to look at in \d+\.\d s; .+", lines[-1])


@pytest.mark.long
def test_control_codes_of_a_log_do_not_reach_the_reader(desk):
    done = desk.run("job.yml", "--rerun", GO=str(desk.folder / "already"))
    assert "not bold" in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.long
def test_an_output_that_knows_no_symbols_is_no_crash(desk):
    desk.write("brief.yml", "type: pipeline\njobs: {one: {type: command, command: 'true', environment: {image: minimal}}}\n")
    done = desk.run("brief.yml", PYTHONIOENCODING="ascii")
    assert "Traceback" not in done.stderr
    assert done.returncode == 0


def screen(data, columns=COLUMNS, rows=200):
    """What a terminal shows after some output: enough of one to follow a tree that is drawn over itself."""
    lines = [[" "] * columns for _ in range(rows)]
    row = column = 0
    wrapped = False
    for token in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|[\s\S]", data):
        if len(token) > 1:
            number = int(re.sub(r"\D", "", token) or 1)
            if token.endswith("A"):
                row = max(0, row - number)
            elif token.endswith("K"):
                lines[row] = [" "] * columns
            continue
        if token == "\r":
            column = 0
        elif token == "\n":
            row += 1
        else:
            if column == columns:
                row, column, wrapped = row + 1, 0, True
            lines[row][column] = token
            column += 1
    return ["".join(line).rstrip() for line in lines], wrapped


def in_a_terminal(desk, go, *options):
    """Run the job in a pseudo-terminal; make the file `go` once the talker has been shown at its work."""
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    environment = {**os.environ, "TERM": "xterm", "GO": str(go)}
    for name in ("COLUMNS", "LINES", "NO_COLOR", "CI"):
        environment.pop(name, None)
    process = subprocess.Popen(
        desk.arguments("run", "job.yml", *options), cwd=desk.folder, stdin=side, stdout=side, stderr=side, env=environment
    )
    os.close(side)
    data = b""
    at_work = b""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            piece = os.read(main, 65_536)
        except OSError:  # Linux: the other side is closed.
            break
        if not piece:
            break
        data += piece
        if not at_work and b"begun" in data and b"the other" in data:
            at_work = data
            go.touch()
    process.wait(timeout=60)
    os.close(main)
    return process.returncode, data.decode(), at_work.decode(errors="ignore")


@pytest.fixture(scope="module")
def shown(desk):
    return in_a_terminal(desk, desk.folder / "go", "--rerun", "--jobs", "2")


def test_the_tree_shows_every_node_once_and_ends_below_itself(shown):
    code, data, _ = shown
    lines = [line for line in screen(data)[0] if line]
    assert code == 0
    for node in ("talker", "other", "after"):
        assert len([line for line in lines if re.match(rf" *\S {node} +completed ", line)]) == 1, lines
    assert lines[0].startswith("A job to look at  ")
    assert "Completed: A job to look at in " in lines[4]


def test_the_tree_indents_what_waits_below_what_it_waits_for(shown):
    lines = screen(shown[1])[0]
    indents = {line.split()[1]: len(line) - len(line.lstrip()) for line in lines[1:4]}
    assert indents == {"talker": 0, "other": 0, "after": 2}


def test_a_long_line_of_a_log_is_cut_and_does_not_wrap_the_tree_apart(shown):
    _, _, at_work = shown
    assert "begun" in at_work
    lines = [line for line in screen(at_work)[0] if line]
    assert len(lines) == 4, lines
    assert any("begun" in line and line.endswith("…") for line in lines)


def test_the_terminal_is_left_as_it_was(shown):
    _, data, _ = shown
    assert data.rfind("\x1b[?25h") > data.rfind("\x1b[?25l") >= 0


def test_control_codes_of_a_log_do_not_reach_the_terminal(shown):
    assert "\x1b[2J" not in shown[1]
    assert "[bold]not bold[/bold]" in shown[1]


def test_plain_is_plain_in_a_terminal_too(desk):
    code, data, _ = in_a_terminal(desk, desk.folder / "already", "--plain")
    assert code == 0
    assert "\x1b[?25l" not in data
    assert re.search(r"^\[ *\d+\.\d s\] job ", data)


def test_a_note_with_brackets_is_shown_as_it_is(capsys):
    from lockgate.agent.display import LiveTree

    LiveTree().note("the branch [/red] has no pipeline")
    assert capsys.readouterr().out == "note: the branch [/red] has no pipeline\n"
