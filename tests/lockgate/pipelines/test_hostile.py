"""Files that mean harm: each is refused with a sentence, or handled, within a bounded time and 1 GB of address space, never with a traceback."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.spread

SECONDS = 60
MEMORY = 1_000_000_000
GOOD = "steps: [{script: a}]\n"


def limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def run(folder: Path, command: str, *options: str) -> subprocess.CompletedProcess[str]:
    """`lockgate COMMAND f.yml` in a process of its own, with too little memory for a bomb."""
    done = subprocess.run(
        [sys.executable, "-m", "lockgate", command, "f.yml", "--root", ".", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=SECONDS,
        check=False,
        preexec_fn=limit,
    )
    assert "Traceback" not in done.stderr
    assert "MemoryError" not in done.stderr
    assert done.returncode in (0, 1, 2, 3), f"ended with {done.returncode}: {done.stderr[:500]}"
    return done


def refused(folder: Path, sentence: str, *options: str) -> str:
    """`expand` refuses f.yml with a sentence of bearable length."""
    done = run(folder, "expand", *options)
    assert sentence in done.stderr
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr) < 200_000
    return done.stderr


def write(folder: Path, text: str | bytes, name: str = "f.yml") -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(text, bytes):
        path.write_bytes(text)
    else:
        path.write_text(text, encoding="utf-8")


def test_a_template_that_includes_itself(tmp_path):
    write(tmp_path, "steps:\n- template: f2.yml\n")
    write(tmp_path, "steps:\n- template: f2.yml\n", "f2.yml")
    refused(tmp_path, "f2.yml:2:13: templates are nested deeper than 100 levels, since they include one another: ")


@pytest.mark.parametrize("command", ["check", "plan"])
def test_other_commands_refuse_a_circle_too(tmp_path, command):
    write(tmp_path, "steps:\n- template: f2.yml\n")
    write(tmp_path, "steps:\n- template: f2.yml\n", "f2.yml")
    done = run(tmp_path, command)
    assert "since they include one another: " in done.stderr
    assert done.returncode == (1 if command == "check" else 2)


def test_a_pipeline_that_includes_itself(tmp_path):
    write(tmp_path, "steps:\n- template: f.yml\n")
    refused(tmp_path, "f.yml:2:13: ")


@pytest.mark.parametrize("kind", ["stages", "jobs", "variables"])
def test_templates_of_every_kind_in_a_circle(tmp_path, kind):
    body = f"{kind}:\n- template: b.yml\n"
    write(tmp_path, body + (GOOD if kind == "variables" else ""))
    write(tmp_path, f"{kind}:\n- template: c.yml\n", "b.yml")
    write(tmp_path, f"{kind}:\n- template: b.yml\n", "c.yml")
    refused(tmp_path, "since they include one another: ")


@pytest.mark.long
def test_a_template_that_includes_itself_twice(tmp_path):
    write(tmp_path, "steps:\n- template: f2.yml\n")
    write(tmp_path, "steps:\n- template: f2.yml\n- template: f2.yml\n", "f2.yml")
    refused(tmp_path, "since they include one another: ")


def test_a_chain_of_101_files(tmp_path):
    for number in range(101):
        write(tmp_path, f"steps:\n- template: f{number + 1}.yml\n", f"f{number}.yml" if number else "f.yml")
    write(tmp_path, GOOD, "f101.yml")
    refused(tmp_path, "allowed by Azure: 100")


def test_more_than_100_files_side_by_side(tmp_path):
    write(tmp_path, "steps:\n" + "".join(f"- template: t/{number}.yml\n" for number in range(101)))
    for number in range(101):
        write(tmp_path, GOOD, f"t/{number}.yml")
    refused(tmp_path, "more than 100 files are included; allowed by Azure: 100")


def test_99_files_side_by_side_are_taken(tmp_path):
    write(tmp_path, "steps:\n" + "".join(f"- template: t/{number}.yml\n" for number in range(99)))
    for number in range(99):
        write(tmp_path, GOOD, f"t/{number}.yml")
    done = run(tmp_path, "expand")
    assert (done.returncode, done.stdout.count("CmdLine@2")) == (0, 99)


def test_billion_laughs_by_anchors(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    write(tmp_path, "\n".join(lines) + "\n" + GOOD)
    refused(tmp_path, "f.yml:1:5: found the anchor &a0; anchors are not supported by Azure Pipelines")


@pytest.mark.long
def test_billion_laughs_by_nested_each(tmp_path):
    each = "".join(f"{'  ' * n}- ${{{{ each v{n} in split('1,2,3,4,5,6,7,8,9,10', ',') }}}}:\n" for n in range(9))
    write(tmp_path, "steps:\n" + each + "  " * 9 + "- script: a\n")
    refused(tmp_path, "f.yml:")


def test_billion_laughs_by_each_over_jobs(tmp_path):
    numbers = ",".join(str(number) for number in range(1000))
    text = (
        f"jobs:\n- ${{{{ each a in split('{numbers}', ',') }}}}:\n  - ${{{{ each b in split('{numbers}', ',') }}}}:\n"
        "    - job: j_${{ a }}_${{ b }}\n      steps: [{script: a}]\n"
    )
    write(tmp_path, text)
    refused(tmp_path, "f.yml:")


@pytest.mark.long
def test_billion_laughs_by_each_in_a_mapping(tmp_path):
    each = "".join(f"    {'  ' * n}${{{{ each v{n} in split('1,2,3,4,5,6,7,8,9,10', ',') }}}}:\n" for n in range(9))
    key = "".join(f"_${{{{ v{n} }}}}" for n in range(9))
    write(tmp_path, f"steps:\n- script: a\n  env:\n{each}    {'  ' * 9}A{key}: 1\n")
    refused(tmp_path, "f.yml:")


def test_billion_laughs_by_insert_in_templates(tmp_path):
    write(tmp_path, "steps:\n- template: t.yml\n  parameters:\n    o: {a: x}\n    left: '" + "x" * 40 + "'\n")
    write(
        tmp_path,
        "parameters:\n- name: o\n  type: object\n- name: left\nsteps:\n- template: u.yml\n  parameters:\n"
        "    o:\n      a: {${{ insert }}: '${{ parameters.o }}'}\n      b: {${{ insert }}: '${{ parameters.o }}'}\n"
        "    left: ${{ parameters.left }}\n",
        "t.yml",
    )
    write(
        tmp_path,
        "parameters:\n- name: o\n  type: object\n- name: left\nsteps:\n- template: t.yml\n  parameters:\n"
        "    o:\n      a: ${{ parameters.o }}\n      b: ${{ parameters.o }}\n    left: ${{ parameters.left }}\n"
        "- script: ${{ length(convertToJson(parameters.o)) }}\n",
        "u.yml",
    )
    refused(tmp_path, ".yml:")


@pytest.mark.long
def test_billion_laughs_by_doubling_templates(tmp_path):
    for number in range(40):
        write(tmp_path, f"steps:\n- template: t{number + 1}.yml\n- template: t{number + 1}.yml\n", f"t{number}.yml")
    write(tmp_path, GOOD, "t40.yml")
    write(tmp_path, "steps:\n- template: t0.yml\n")
    refused(tmp_path, ".yml:")


def test_billion_laughs_by_doubling_texts(tmp_path):
    variables = "".join(f"  a{n}: ${{{{ variables.a{n - 1} }}}}${{{{ variables.a{n - 1} }}}}\n" for n in range(1, 60))
    write(tmp_path, f"variables:\n  a0: xxxxxxxxxxxxxxxx\n{variables}{GOOD}")
    refused(tmp_path, "f.yml:")


def test_billion_laughs_by_replace(tmp_path):
    variables = "".join(f"  a{n}: ${{{{ replace(variables.a{n - 1}, 'x', 'xxxxxxxxxx') }}}}\n" for n in range(1, 20))
    write(tmp_path, f"variables:\n  a0: x\n{variables}{GOOD}")
    refused(tmp_path, "f.yml:")


def test_billion_laughs_by_format(tmp_path):
    variables = "".join(f"  a{n}: ${{{{ format('{'{0}' * 10}', variables.a{n - 1}) }}}}\n" for n in range(1, 20))
    write(tmp_path, f"variables:\n  a0: x\n{variables}{GOOD}")
    refused(tmp_path, "f.yml:")


def test_a_list_doubled_by_lone_expressions(tmp_path):
    write(tmp_path, "steps:\n- template: t1.yml\n  parameters: {l: [a, b]}\n")
    for number in range(1, 40):
        write(
            tmp_path,
            "parameters:\n- name: l\n  type: object\nsteps:\n- template: "
            f"t{number + 1}.yml\n  parameters:\n    l:\n    - ${{{{ parameters.l }}}}\n    - ${{{{ parameters.l }}}}\n",
            f"t{number}.yml",
        )
    write(tmp_path, "parameters:\n- name: l\n  type: object\nsteps:\n- script: ${{ length(parameters.l) }}\n", "t40.yml")
    refused(tmp_path, ".yml:")


def test_a_file_above_2_mb(tmp_path):
    write(tmp_path, GOOD + "#" * 2_000_000 + "\n")
    refused(tmp_path, "f.yml:1:1: found 2,000,022 bytes; allowed: at most 2,000,000")


def test_a_file_of_10_mb(tmp_path):
    write(tmp_path, GOOD + "# padding\n" * 1_000_000)
    refused(tmp_path, "allowed: at most 2,000,000")


def test_a_template_of_10_mb(tmp_path):
    write(tmp_path, "steps:\n- template: t.yml\n")
    write(tmp_path, GOOD + "# padding\n" * 1_000_000, "t.yml")
    assert "    included from f.yml:2:13\n" in refused(tmp_path, "t.yml:1:1: found 10,000,021 bytes; allowed: at most 2,000,000")


def test_nested_100000_deep_in_flow_style(tmp_path):
    write(tmp_path, "variables:\n  a: " + "[" * 100_000 + "]" * 100_000 + "\n" + GOOD)
    refused(tmp_path, "f.yml:2:104: nested deeper than 100 levels")


def test_nested_100000_deep_in_mappings_of_flow_style(tmp_path):
    write(tmp_path, "variables: " + "{a: " * 100_000 + "}" * 100_000 + "\n" + GOOD)
    refused(tmp_path, "nested deeper than 100 levels")


def test_opened_100000_times_and_never_closed(tmp_path):
    write(tmp_path, "variables: " + "[" * 100_000)
    refused(tmp_path, "nested deeper than 100 levels")


def test_nested_deep_in_block_style(tmp_path):
    # 100,000 levels in block style, each indented by one more, are 5 GB; what fits into 2 MB is 1,900 levels of mappings.
    write(tmp_path, "".join(f"{' ' * depth}a:\n" for depth in range(1_900)))
    refused(tmp_path, "nested deeper than 100 levels")


def test_nested_100000_deep_in_a_block_list(tmp_path):
    write(tmp_path, "steps:\n" + "- " * 100_000 + "a\n")
    refused(tmp_path, "nested deeper than 100 levels")


def test_directives_nested_deep(tmp_path):
    write(tmp_path, "steps:\n" + "".join(f"{'  ' * depth}- ${{{{ if true }}}}:\n" for depth in range(200)) + "  " * 200 + "- script: a\n")
    refused(tmp_path, "nested deeper than 100 levels")


@pytest.mark.parametrize(
    "data", [b"steps:\n- script: \xff\xfe\n", b"\xff\xfes\x00t\x00", b"steps:\n- script: \xed\xa0\x80\n", b"\x80" * 1000]
)
def test_bytes_that_are_not_utf_8(tmp_path, data):
    write(tmp_path, data)
    refused(tmp_path, "found bytes that are not UTF-8; save the file as UTF-8")


def test_zero_bytes(tmp_path):
    write(tmp_path, b"steps:\n- script: a\x00b\n")
    refused(tmp_path, "f.yml:2:12: not valid YAML: found a control character; take it out")


def test_a_line_of_1_mb_is_taken(tmp_path):
    write(tmp_path, "steps:\n- script: " + "x" * 1_000_000 + "\n")
    done = run(tmp_path, "expand")
    assert (done.returncode, len(done.stdout) > 1_000_000) == (0, True)


def test_a_mistake_in_a_line_of_1_mb_is_shown_in_short(tmp_path):
    write(tmp_path, "steps: [{script: " + "x" * 1_000_000 + ", nosuchkey: a}]\n")
    assert len(refused(tmp_path, "f.yml:1:1000020: unknown key 'nosuchkey' of a script step")) < 1_000


def test_a_key_of_1_mb_is_shown_in_short(tmp_path):
    write(tmp_path, "? " + "k" * 1_000_000 + "\n: a\n" + GOOD)
    assert len(refused(tmp_path, "unknown key ")) < 10_000


@pytest.mark.parametrize(
    ("count", "sentence"),
    [(51, "nested deeper than 50 levels"), (4_000, "nested deeper than 50 levels"), (5_000, "an expression of 25,004 characters")],
)
def test_an_expression_of_nested_functions(tmp_path, count, sentence):
    write(tmp_path, "steps:\n- script: ${{ " + "not(" * count + "true" + ")" * count + " }}\n")
    refused(tmp_path, sentence)


def test_an_expression_of_5000_bare_brackets(tmp_path):
    write(tmp_path, "steps:\n- script: ${{ " + "(" * 5_000 + "true" + ")" * 5_000 + " }}\n")
    refused(tmp_path, "f.yml:2:15: ")


@pytest.mark.parametrize("link", [".a", "['a']", "[0]", ".*"])
def test_an_expression_of_3000_links(tmp_path, link):
    write(tmp_path, "steps:\n- script: ${{ variables" + link * 3_000 + " }}\n")
    done = run(tmp_path, "expand")
    assert done.returncode in (0, 2)


def test_an_expression_of_1000_open_brackets(tmp_path):
    write(tmp_path, "steps:\n- script: ${{ variables" + "[variables.a" * 1_000 + " }}\n")
    refused(tmp_path, "f.yml:2:")


def test_an_expression_of_1_mb(tmp_path):
    write(tmp_path, "steps:\n- script: ${{ '" + "x" * 1_000_000 + "' }}\n")
    refused(tmp_path, "an expression of 1,000,002 characters; allowed: at most 21,000")


def test_a_condition_of_5000_brackets(tmp_path):
    write(tmp_path, "steps:\n- script: a\n  condition: " + "not(" * 5_000 + "true" + ")" * 5_000 + "\n")
    refused(tmp_path, "an expression of 25,004 characters; allowed: at most 21,000")


def test_a_text_with_50000_expressions(tmp_path):
    write(tmp_path, "steps:\n- script: " + "${{ 1 }}" * 50_000 + "\n")
    done = run(tmp_path, "expand")
    assert (done.returncode, "1" * 50_000 in done.stdout) == (0, True)


def test_a_text_with_100000_openings(tmp_path):
    write(tmp_path, "steps:\n- script: a " + "${{ '" * 100_000 + "\n")
    refused(tmp_path, "has no end; close it with }}")


def test_a_text_with_many_quotes(tmp_path):
    write(tmp_path, "steps:\n- script: a ${{ " + "'a' " * 100_000 + "\n")
    refused(tmp_path, "has no end; close it with }}")


@pytest.mark.long
def test_50000_steps(tmp_path):
    write(tmp_path, "steps:\n" + "- script: a\n" * 50_000)
    done = run(tmp_path, "expand")
    assert (done.returncode, done.stdout.count("CmdLine@2")) == (0, 50_000)


@pytest.mark.long
def test_50000_items_of_a_parameter(tmp_path):
    items = "".join("  - a\n" for _ in range(50_000))
    write(
        tmp_path,
        f"parameters:\n- name: l\n  type: object\n  default:\n{items}steps:\n- ${{{{ each x in parameters.l }}}}:\n  - script: ${{{{ x }}}}\n",
    )
    done = run(tmp_path, "expand")
    assert (done.returncode, done.stdout.count("CmdLine@2")) == (0, 50_000)


@pytest.mark.long
def test_50000_keys_of_a_mapping(tmp_path):
    write(tmp_path, "variables:\n" + "".join(f"  v{number}: x\n" for number in range(50_000)) + GOOD)
    done = run(tmp_path, "expand")
    assert (done.returncode, done.stdout.count("- name: v")) == (0, 50_000)


@pytest.mark.long
def test_5000_jobs_that_depend_on_one_another(tmp_path):
    jobs = "- job: j0\n  steps: [{script: a}]\n"
    jobs += "".join(f"- job: j{n}\n  dependsOn: j{n - 1}\n  steps: [{{script: a}}]\n" for n in range(1, 5_000))
    write(tmp_path, "jobs:\n" + jobs)
    for command in ("expand", "plan"):
        done = run(tmp_path, command)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout


def test_2000_unknown_keys_are_not_all_listed(tmp_path):
    write(tmp_path, "steps:\n- script: a\n" + "".join(f"  nosuch{number}: x\n" for number in range(2_000)))
    assert 100 <= refused(tmp_path, "unknown key 'nosuch0'").count("unknown key") <= 1_000


@pytest.mark.long
def test_a_template_included_100000_times(tmp_path):
    write(tmp_path, "steps:\n" + "- template: t.yml\n" * 100_000)
    write(tmp_path, "steps:\n" + "- script: a\n" * 10, "t.yml")
    refused(tmp_path, "f.yml:")


@pytest.mark.long
def test_an_empty_template_included_100000_times(tmp_path):
    write(tmp_path, "steps:\n- script: a\n" + "- template: t.yml\n" * 100_000)
    write(tmp_path, "steps: []\n", "t.yml")
    done = run(tmp_path, "expand")
    assert done.returncode in (0, 2)
    assert done.stdout or done.stderr


@pytest.mark.long
def test_a_matrix_of_50000_legs(tmp_path):
    legs = "".join(f"      L{number}: {{a: 1}}\n" for number in range(50_000))
    write(tmp_path, f"jobs:\n- job: A\n  strategy:\n    matrix:\n{legs}  steps: [{{script: a}}]\n")
    done = run(tmp_path, "expand")
    assert done.returncode in (0, 2)


def test_a_template_that_is_a_device(tmp_path):
    (tmp_path / "t.yml").symlink_to("/dev/zero")
    write(tmp_path, "steps:\n- template: t.yml\n")
    refused(tmp_path, "f.yml:2:13: ")


def test_a_pipeline_that_is_a_device(tmp_path):
    (tmp_path / "f.yml").symlink_to("/dev/zero")
    done = run(tmp_path, "expand")
    assert done.returncode == 2
    assert "f.yml:1:1: " in done.stderr


def test_a_template_that_leads_out_by_a_link(tmp_path):
    inside = tmp_path / "repository"
    write(tmp_path, GOOD, "outside.yml")
    write(inside, "steps:\n- template: link.yml\n")
    (inside / "link.yml").symlink_to(tmp_path / "outside.yml")
    done = run(inside, "expand")
    assert done.returncode in (0, 2)


def test_a_template_that_is_a_folder(tmp_path):
    (tmp_path / "t.yml").mkdir()
    write(tmp_path, "steps:\n- template: t.yml\n")
    refused(tmp_path, "f.yml:2:13: there is no file 't.yml'")


def test_what_a_terminal_would_obey_is_not_printed(tmp_path):
    write(tmp_path, 'steps:\n- script: a\n  "\\e]0;title\\a": b\n')
    done = run(tmp_path, "expand")
    assert done.returncode == 2
    assert "\x1b" not in done.stderr


def test_a_parameter_of_json_nested_deep(tmp_path):
    write(tmp_path, "parameters:\n- name: o\n  type: object\n" + GOOD)
    done = run(tmp_path, "expand", "-p", "o=" + "[" * 50_000)
    assert done.returncode == 2
    assert "nested deeper than 100 levels" in done.stderr


def test_convert_to_json_of_a_deep_value(tmp_path):
    deep = "{a: " * 95 + "1" + "}" * 95
    write(
        tmp_path, f"parameters:\n- name: o\n  type: object\n  default: {deep}\nsteps:\n- script: ${{{{ convertToJson(parameters.o) }}}}\n"
    )
    done = run(tmp_path, "expand", "--json")
    assert done.returncode == 0
    text = json.loads(done.stdout)["stages"][0]["jobs"][0]["steps"][0]["inputs"]["script"]
    assert text.count('"a"') == 95
