"""Does what the logging commands of a step say."""

from __future__ import annotations

import fnmatch
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lockgate.agent.logging_commands import BY_NAME, RESTRICTED, LoggingCommand
from lockgate.agent.task import RANK, TaskError, is_true
from lockgate.agent.tasks._artifacts import publish

if TYPE_CHECKING:
    from lockgate.agent.step import StepRun


class CommandHandlers:
    """The logging commands of a step; the method for `task.setvariable` is `_on_task_setvariable`.

    Args:
        step: the step.
    """

    def __init__(self, step: StepRun) -> None:
        self._step = step

    def follow(self, command: LoggingCommand) -> None:
        """Do what a logging command says. One that can't be done fails the step once it has ended."""
        known = BY_NAME.get(command.name)
        if known is None:
            names = ", ".join(sorted(BY_NAME))
            if "." in command.name and command.name.partition(".")[0] in {name.partition(".")[0] for name in BY_NAME}:
                self._wrong(command, f"there is no such logging command; known: {names}")
            else:
                self._step.write(f"##[warning]{self._step.mask(command.written)} is no logging command; known: {names}")
            return
        target = self._step.step.target
        if target.get("commands") == "restricted" and command.name not in RESTRICTED:
            self._step.write(f"##[warning]{command.name} is not followed: the step's target has commands: restricted")
            return
        if known.desk == "refused":
            self._wrong(command, f"it is not done on the desk: {known.why}")
            return
        if known.desk == "none":
            return
        try:
            getattr(self, f"_on_{command.name.replace('.', '_')}")(command.properties, command.text)
        except TaskError as error:
            self._wrong(command, str(error))
        except OSError as error:
            self._wrong(command, f"{error.strerror}: {error.filename}")

    def _wrong(self, command: LoggingCommand, message: str) -> None:
        self._step.command_failed = self._step.mask(f"##vso[{command.written}]: {message}")
        self._step.note_issue("error", self._step.command_failed)
        self._step.write(f"##[error]{self._step.command_failed}")

    def _file(self, text: str) -> Path:
        path = self._step.resolve(text.strip())
        if not text.strip() or not path.exists():
            raise TaskError(f"there is no file {text.strip()!r}")
        return path

    def _keep(self, path: Path, folder: str) -> None:
        target = self._step.run_folder.path / folder
        target.mkdir(parents=True, exist_ok=True)
        name, number = self._step.mask(path.name), 1
        while (target / name).exists():
            number += 1
            name = self._step.mask(f"{path.stem}-{number}{path.suffix}")
        if path.suffix in (".md", ".txt", ".log", ".json", ".csv", ".html"):
            (target / name).write_text(self._step.mask(path.read_text(encoding="utf-8", errors="replace")), encoding="utf-8")
        else:
            shutil.copy2(path, target / name)

    def _on_task_setvariable(self, properties: Mapping[str, str], text: str) -> None:
        name = properties.get("variable", "").strip()
        if not name:
            raise TaskError("it has no variable=; write ##vso[task.setvariable variable=name]value")
        settable = self._step.step.target.get("settableVariables")
        if settable is not None and not any(fnmatch.fnmatchcase(name.lower(), pattern.lower()) for pattern in settable):
            self._step.write(
                f"##[warning]variable {name} is not set: the step's target has settableVariables: {', '.join(settable) or 'none'}"
            )
            return
        secret, output, readonly = (is_true(properties.get(key, "")) for key in ("issecret", "isoutput", "isreadonly"))
        if secret and "\n" in text.strip("\r\n"):
            self._step.job.run.masker.add(text)
            raise TaskError("a secret can't have several lines; encode it, for example with base64")
        if output and not self._step.step.name:
            raise TaskError(f"isOutput needs a step with a name:, by which {name} is found; give the step one")
        if self._step.job.variables.is_readonly(name) and not output:
            raise TaskError(f"variable {name!r} is read-only; its value stays")
        self._step.set_variable(name, text, secret=secret, output=output, readonly=readonly)

    def _on_task_setsecret(self, properties: Mapping[str, str], text: str) -> None:
        del properties
        self._step.job.run.masker.add(text)
        self._step.secret_here = True

    def _on_task_logissue(self, properties: Mapping[str, str], text: str) -> None:
        kind = properties.get("type", "").lower()
        if not kind:
            self._step.write("##[warning]task.logissue has no type; allowed: type=error or type=warning")
            return
        if kind not in ("error", "warning"):
            raise TaskError(f"type: found {kind!r}; allowed: error or warning")
        self._step.note_issue("error" if kind == "error" else "warning", text, properties)
        place = ":".join(properties[key] for key in ("sourcepath", "linenumber", "columnnumber") if properties.get(key))
        for line in self._step.masked(f"##[{kind}]{place + ': ' if place else ''}{text}"):
            self._step.write(line)

    def _on_task_complete(self, properties: Mapping[str, str], text: str) -> None:
        results = {name.lower(): name for name in RANK}
        wanted = properties.get("result", "Succeeded")
        if wanted.lower() not in results:
            raise TaskError(f"result: found {wanted!r}; allowed: {', '.join(results.values())}")
        found = results[wanted.lower()]
        self._step.completed = found if self._step.completed is None else max(self._step.completed, found, key=RANK.index)
        if text.strip():
            for line in self._step.masked(text):
                self._step.write(line)

    def _on_task_prependpath(self, properties: Mapping[str, str], text: str) -> None:
        del properties
        if not text.strip():
            raise TaskError("it names no folder")
        self._step.prepend_path(Path(text.strip()))

    def _on_task_setprogress(self, properties: Mapping[str, str], text: str) -> None:
        value = properties.get("value", "")
        if not value.isdigit() or int(value) > 100:
            raise TaskError(f"value: found {value!r}; allowed: 0 to 100")
        self._step.view.detail = self._step.mask(f"{value} % {properties.get('currentoperation', '') or text}".strip())

    def _on_task_debug(self, properties: Mapping[str, str], text: str) -> None:
        del properties
        if self._step.debug:
            for line in self._step.masked(f"##[debug]{text}"):
                self._step.write(line)

    def _on_task_uploadsummary(self, properties: Mapping[str, str], text: str) -> None:
        del properties
        self._keep(self._file(text), "summary")

    _on_build_uploadsummary = _on_task_uploadsummary

    def _on_task_uploadfile(self, properties: Mapping[str, str], text: str) -> None:
        del properties
        self._keep(self._file(text), "logs/files")

    _on_build_uploadlog = _on_task_uploadfile

    def _on_task_addattachment(self, properties: Mapping[str, str], text: str) -> None:
        kind, name = properties.get("type", ""), properties.get("name", "")
        if not kind or not name:
            raise TaskError("it needs type= and name=")
        self._keep(self._file(text), self._step.mask(f"attachments/{Path(kind).name}/{Path(name).name}"))

    def _on_build_updatebuildnumber(self, properties: Mapping[str, str], text: str) -> None:
        del properties
        self._step.job.run.set_number(text.strip())
        self._step.job.variables.set("Build.BuildNumber", text.strip(), readonly=True)

    def _on_build_addbuildtag(self, properties: Mapping[str, str], text: str) -> None:
        del properties
        tag = text.strip()
        if not tag or ":" in tag:
            raise TaskError(f"found the tag {tag!r}; allowed: a text without a colon")
        self._step.job.run.add_tag(tag)

    def _on_artifact_upload(self, properties: Mapping[str, str], text: str) -> None:
        name = properties.get("artifactname", "")
        if not name:
            raise TaskError("it needs artifactname=")
        publish(self._step, self._file(text), name, again=True)
