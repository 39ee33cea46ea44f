"""A parallel component, node or job as the command of the desk's own driver of mini batches."""

from __future__ import annotations

import re
import shlex
import sys
from typing import TYPE_CHECKING, Final

from lockgate.execution.bindings import references, unclosed
from lockgate.execution.reader import shown
from lockgate.execution.specification import Component, Port
from lockgate.yaml_source import Node

if TYPE_CHECKING:
    from lockgate.execution.component_file import ComponentReader

KEYS: Final = ("task", "mini_batch_size", "partition_keys", "input_data", "resources", "retry_settings", "max_concurrency_per_instance",
               "error_threshold", "mini_batch_error_threshold", "logging_level", "is_deterministic")  # fmt: skip
_TASK: Final = ("type", "code", "entry_script", "program_arguments", "model", "append_row_to", "environment")
_EXPRESSION: Final = re.compile(r"\$\{\{[^{}]*\}\}")
_OPTIONAL: Final = re.compile(r"(\$\[\[.*?\]\])")
_INPUT: Final = re.compile(r"\$\{\{\s*inputs\.([A-Za-z_]\w*)\s*\}\}")
_OUTPUT: Final = re.compile(r"\$\{\{\s*outputs\.([A-Za-z_]\w*)\s*\}\}")
DRIVER: Final = "lockgate.execution.parallel"


def parallel_component(
    reader: ComponentReader, node: Node, name: str, what: str, inputs: dict[str, Port], outputs: dict[str, Port]
) -> Component | None:
    """The component of a parallel node; None if something is wrong with it, which has been noted.

    Args:
        reader: takes the mistakes.
        node: holds `task` and the settings.
        name: of the component.
        what: names it in messages.
        inputs, outputs: its ports.
    """
    before = len(reader.mistakes)
    task = reader.mapping(node, "task")
    if task is None:
        reader.fail(node, f"{what}.task: found nothing; allowed: a mapping with entry_script, code, environment", at_key=True)
        return None
    reader.keys(task, _TASK, f"{what}.task")
    for key in ("model",):
        if (found := task.get(key)) is not None:
            reader.refuse(found, f"{what}.task.{key} is not supported on the desk; hand the model in as an input", at_key=True)
    if (keys := node.get("partition_keys")) is not None:
        reader.refuse(keys, f"{what}.partition_keys: partitions of an mltable are not made on the desk; use mini_batch_size", at_key=True)
    kind = reader.text(task, "type", "run_function")
    if kind not in ("run_function", "function"):
        reader.fail(task.get("type") or task, f"{what}.task.type: found {kind!r}; allowed: run_function")
    code = task.get("code")
    folder = reader.local_path(code, code.text) if code is not None else node.source.path.parent
    script = reader.text(task, "entry_script")
    if code is not None and not folder.is_dir():
        reader.fail(code, f"{what}.task.code: there is no folder {code.text!r} ({shown(folder, reader.root)}); mend the path")
    elif not script or not (folder / script).is_file() or not (folder / script).resolve().is_relative_to(folder.resolve()):
        reader.fail(
            task.get("entry_script") or task,
            f"{what}.task.entry_script: found {script or 'nothing'!r}; allowed: a file in {shown(folder, reader.root)}",
        )
    level = node.get("logging_level")
    if level is not None and level.text.upper() not in ("DEBUG", "INFO", "WARNING"):
        reader.fail(level, f"{what}.logging_level: found {level.describe()}; allowed: DEBUG, INFO, WARNING")
    if level is not None:
        reader.note(level, f"logging_level of {what} has no effect on the desk: all that the script prints is in the log")
    data = _input_data(reader, node, what, inputs)
    words = [
        "--entry", script,
        "--size", _size(reader, node, what),
        "--workers", str(_whole(reader, node, "max_concurrency_per_instance", what, 1) * _instances(reader, node, what)),
        "--error-threshold", str(_whole(reader, node, "error_threshold", what, -1, least=-1)),
        "--batch-error-threshold", str(_whole(reader, node, "mini_batch_error_threshold", what, -1, least=-1)),
    ]  # fmt: skip
    retry = reader.mapping(node, "retry_settings")
    if retry is not None:
        reader.keys(retry, ("max_retries", "timeout"), f"{what}.retry_settings")
        words += [
            "--retries",
            str(_whole(reader, retry, "max_retries", what, 2, least=0)),
            "--timeout",
            str(_whole(reader, retry, "timeout", what, 60)),
        ]
    environment, conda = reader.environment(task)
    tail = _appended(reader, task, what, outputs) + _arguments(reader, task, what, inputs, outputs)
    reader.own_resources(node, several=True)
    if len(reader.mistakes) > before:
        return None
    command = " ".join(
        [
            "exec",
            shlex.quote(sys.executable),
            "-P",
            "-m",
            DRIVER,
            *(shlex.quote(word) for word in words),
            "--input",
            f"${{{{inputs.{data}}}}}",
            *tail,
        ]
    )
    return Component(
        name=name,
        command=command,
        inputs=inputs,
        outputs=outputs,
        code=folder,
        environment=environment,
        conda_file=conda,
        deterministic=reader.boolean(node, "is_deterministic", default=True),
        kind="parallel",
    )


def _input_data(reader: ComponentReader, node: Node, what: str, inputs: dict[str, Port]) -> str:
    found = node.get("input_data")
    match = _INPUT.fullmatch(found.text.strip()) if found is not None else None
    if found is None or match is None or match[1] not in inputs:
        names = ", ".join(f"${{{{inputs.{name}}}}}" for name in inputs) or "an input"
        described = found.describe() if found is not None else "nothing"
        reader.fail(found or node, f"{what}.input_data: found {described}; allowed: {names}", at_key=found is None)
        return ""
    if inputs[match[1]].type == "mltable":
        reader.refuse(
            found,
            f"{what}.input_data: rows of an mltable are not dealt out on the desk; allowed here: uri_folder, uri_file, dealt out file by file",
        )
    return match[1]


def _size(reader: ComponentReader, node: Node, what: str) -> str:
    found = node.get("mini_batch_size")
    if found is None:
        return "10"
    if not re.fullmatch(r"[1-9]\d*", found.text):
        if re.fullmatch(r"[1-9]\d*\s*[kKmMgG]?[bB]", found.text):
            reader.refuse(
                found, f"{what}.mini_batch_size: found {found.text!r}, a size of rows of an mltable; allowed on the desk: a number of files"
            )
        else:
            reader.fail(found, f"{what}.mini_batch_size: found {found.describe()}; allowed: a number of files, 1 or more")
    return found.text


def _whole(reader: ComponentReader, node: Node, key: str, what: str, default: int, least: int = 1) -> int:
    found = node.get(key)
    if found is None:
        return default
    if isinstance(found.value, bool) or not isinstance(found.value, int) or found.value < least:
        reader.fail(found, f"{what}.{key}: found {found.describe()}; allowed: a whole number, {least} or more")
        return default
    return found.value


def _instances(reader: ComponentReader, node: Node, what: str) -> int:
    resources = reader.mapping(node, "resources")
    return _whole(reader, resources, "instance_count", what, 1) if resources is not None else 1


def _appended(reader: ComponentReader, task: Node, what: str, outputs: dict[str, Port]) -> list[str]:
    found = task.get("append_row_to")
    if found is None:
        return []
    match = _OUTPUT.fullmatch(found.text.strip())
    if match is None or match[1] not in outputs:
        names = ", ".join(f"${{{{outputs.{name}}}}}" for name in outputs) or "an output"
        reader.fail(found, f"{what}.task.append_row_to: found {found.describe()}; allowed: {names}")
        return []
    return ["--append-to", f"${{{{outputs.{match[1]}}}}}"]


def _arguments(reader: ComponentReader, task: Node, what: str, inputs: dict[str, Port], outputs: dict[str, Port]) -> list[str]:
    found = task.get("program_arguments")
    if found is None or found.value is None:
        return []
    if not isinstance(found.value, str):
        reader.fail(found, f"{what}.task.program_arguments: found {found.describe()}; allowed: a text")
        return []
    for reference in references(found.text):
        declared = {"inputs": inputs, "outputs": outputs}.get(reference.kind, {})
        if reference.name not in declared:
            kind = reference.kind if reference.kind in ("inputs", "outputs") else "inputs"
            names = ", ".join(outputs if kind == "outputs" else inputs) or "none"
            reader.fail(found, f"{what}.task.program_arguments: {reference.text} is not declared; {kind} are: {names}")
        elif reference.kind == "inputs" and inputs[reference.name].optional and not reference.optional:
            reader.fail(found, f"{what}.task.program_arguments: {reference.text} is optional, so it must stand inside $[[ … ]]")
    offset = unclosed(found.text)
    if offset is not None:
        reader.fail(
            found,
            f"{what}.task.program_arguments: {found.text[offset:].split()[0]!r} is not closed; allowed: ${{{{inputs.NAME}}}} or ${{{{outputs.NAME}}}}",
        )
    words: list[str] = []
    try:
        for piece in _OPTIONAL.split(found.text):
            optional = piece.startswith("$[[")
            quoted = " ".join(_quoted(piece.removeprefix("$[[").removesuffix("]]") if optional else piece))
            words.append(f"$[[{quoted}]]" if optional else quoted)
    except ValueError as error:
        reader.fail(found, f"{what}.task.program_arguments: found {found.describe()}: {error}; allowed: words, with quotes closed")
        return []
    return ["--", *(word for word in words if word)]


def _quoted(text: str) -> list[str]:
    """Words as bash takes them one by one, whatever is in them; `${{…}}` stays as it is."""
    found = shlex.split(_EXPRESSION.sub(lambda match: f"\0{match[0].replace(' ', '')}\0", text))
    return ["".join(part if part.startswith("${{") else shlex.quote(part) for part in word.split("\0") if part) or "''" for word in found]
