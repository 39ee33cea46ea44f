"""The shell scripts of the delivery's files, and every command line of az that they may come to."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
PIPELINES = sorted([*(ROOT / "mlops-pipelines").glob("*.yml"), *(ROOT / "infrastructure/pipelines").glob("*.yml")])
TEMPLATES = sorted([*(ROOT / "aml-cli-v2").glob("*.yml"), *(ROOT / "infrastructure/pipelines/steps").glob("*.yml")])
CONFIGURATIONS = {name: ROOT / f"infrastructure/env-variables/config-infra-{name}.yml" for name in ("dev", "stage", "prod")}
SCRIPT_KEYS = ("inlineScript", "bash", "script", "pwsh", "powershell")


def document(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def walk(value: Any, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value of a document with the keys that lead to it."""
    yield keys, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from walk(item, (*keys, str(key)))
    elif isinstance(value, list):
        for item in value:
            yield from walk(item, keys)


@dataclass(frozen=True)
class Script:
    """An inline script, what stands under its `env:`, and the values that its template allows for a parameter."""

    file: Path
    title: str
    text: str
    env: dict[str, str]
    allowed: dict[str, list[str]]

    def values(self, variable: str) -> list[str]:
        """What a variable of the shell may hold: the values of the parameter that it is, or any one word."""
        parameter = re.fullmatch(r"\$\{\{ parameters\.(\w+) \}\}", self.env.get(variable, ""))
        return self.allowed.get(parameter[1], ["word"]) if parameter else ["word"]


def scripts_of(path: Path) -> list[Script]:
    root = document(path)
    allowed = {one["name"]: one["values"] for one in root.get("parameters", []) if "values" in one}
    found = []
    for _, step in walk(root):
        if not isinstance(step, dict):
            continue
        for key in SCRIPT_KEYS:
            place = step.get("inputs", {}) if key == "inlineScript" else step
            if isinstance(place, dict) and isinstance(place.get(key), str):
                env = {name: str(value) for name, value in step.get("env", {}).items()}
                found.append(Script(path, step.get("displayName", ""), place[key], env, allowed))
    return found


SCRIPTS = [script for path in [*TEMPLATES, *PIPELINES] for script in scripts_of(path)]


def commands_in(name: str, text: str) -> list[str]:
    """The command lines that begin with a name, each up to what ends it for the shell."""
    found = []
    for match in re.finditer(rf"(?<![\w/$\".-]){name} (?=[\w\"'-])", text):
        quote, depth, end = "", 0, match.start()
        while end < len(text):
            sign = text[end]
            if sign == "\\":
                end += 2
                continue
            if quote == "'":
                quote = "" if sign == "'" else quote
            elif text.startswith("$(", end):
                depth += 1
                end += 1
            elif depth:
                depth -= sign == ")"
            elif quote:
                quote = "" if sign == '"' else quote
            elif sign in "'\"":
                quote = sign
            elif sign in "|;&\n)<>":
                break
            end += 1
        found.append(re.sub(r" [12]$", "", text[match.start() : end]).strip())
    return found


def az_commands(script: Script) -> list[list[str]]:
    """Every command line of az that a script may come to, as words."""
    text = re.sub(r"\\\n\s*", "", script.text)
    text = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    arrays: dict[str, list[list[str]]] = {}
    for name, sign, inside in re.findall(r"\b(\w+)(\+?)=\(((?:\"[^\"]*\"|[^)\"])*)\)", text):
        words = shlex.split(inside)
        if sign:
            arrays[name] = [[*one, *words] for one in arrays.get(name, [[]])]
        else:
            arrays.setdefault(name, []).append(words)
    arrays = {name: [one for one in many if one] or [[]] for name, many in arrays.items()}
    functions = set(re.findall(r"(?m)^\s*(\w+)\(\) \{ az ", text))
    found = []
    for command in commands_in("az", text):
        (function,) = [name for name in functions if f"{name}() {{ {command}" in text] or [""]
        # What is only said is no call.
        silent = re.sub(r"""\bfail ("[^"]*"|'[^']*')|(?m:^\s*echo .*$)|\becho "[^"]*\"""", "", text)
        calls = [shlex.split(call)[1:] for call in commands_in(function, silent)] if function else [[]]
        assert calls, f"{function} is never called"
        for given in calls:
            found += list(expansions(script, shlex.split(command), {**arrays, "@": [given]}, given))
    return found


def expansions(script: Script, words: list[str], arrays: dict[str, list[list[str]]], given: list[str]) -> Iterator[list[str]]:
    choices: list[list[list[str]]] = []
    for word in words:
        array = re.fullmatch(r"\$\{(\w+)\[@\]\}|\$(@)", word)
        if array:
            choices.append(arrays[array[1] or array[2]])
            continue
        if re.fullmatch(r"\$\d", word):
            choices.append([[given[int(word[1]) - 1]]])
            continue
        names = [name for name in re.findall(r"\$(\w+)", word) if len(script.values(name)) > 1 or word in (f"${name}", f"${{{name}}}")]
        options = []
        for values in itertools.product(*(script.values(name) for name in names)):
            one = word
            for name, value in zip(names, values, strict=True):
                one = one.replace(f"${name}", value)
            options.append([one])
        choices.append(options)
    for chosen in itertools.product(*choices):
        # What stands in a file is any word.
        yield [word.removeprefix("@") for part in chosen for word in part]


AZ = sorted({(script.file.stem, tuple(words)) for script in SCRIPTS for words in az_commands(script)})
