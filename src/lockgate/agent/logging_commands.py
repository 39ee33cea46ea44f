"""`##vso[area.event name=value;…]text`: what a step may tell the agent by printing a line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

_COMMAND: Final = re.compile(r"##vso\[([^\]\s]+)(?:\s+([^\]]*))?\](.*)", re.DOTALL)
_ESCAPES: Final = (("%3B", ";"), ("%0D", "\r"), ("%0A", "\n"), ("%5D", "]"), ("%AZP25", "%"))


@dataclass(frozen=True)
class LoggingCommand:
    """A command that stands in a line. `name` is in small letters, property names too; `written` is the name as it stands there."""

    written: str
    name: str
    properties: dict[str, str]
    text: str


@dataclass(frozen=True)
class Known:
    """A command there is: what it does, and whether the desk does it."""

    name: str
    help: str
    properties: tuple[str, ...] = ()
    desk: Literal["run", "none", "refused"] = "run"
    why: str = ""


COMMANDS: Final[tuple[Known, ...]] = (
    Known("task.setvariable", "sets a variable for the steps after", ("variable", "isSecret", "isOutput", "isReadOnly")),
    Known("task.setsecret", "hides the text from now on"),
    Known("task.logissue", "an error or warning of the step", ("type", "sourcepath", "linenumber", "columnnumber", "code")),
    Known("task.complete", "how the step ends", ("result", "done")),
    Known("task.prependpath", "puts a folder before PATH for the steps after"),
    Known("task.setprogress", "progress of the step", ("value", "currentOperation")),
    Known("task.uploadsummary", "adds a Markdown file to the run's summary"),
    Known("task.uploadfile", "keeps a file with the run's logs"),
    Known("task.addattachment", "keeps a file with the run", ("type", "name")),
    Known("task.debug", "a line that is shown if System.Debug is true"),
    Known("task.logdetail", "a record of the run's timeline", ("id", "parentid", "name", "type", "order", "state", "result", "progress", "starttime",
          "finishtime"), "none", "the desk has no timeline beside its steps"),
    Known("task.setendpoint", "changes a service connection", ("id", "field", "key"), "refused", "service connections are not kept on the desk"),
    Known("task.setsecretvariable", "an old form", (), "refused", "use task.setvariable with isSecret=true"),
    Known("build.updatebuildnumber", "changes the run's number"),
    Known("build.addbuildtag", "tags the run"),
    Known("build.uploadlog", "keeps a file with the run's logs"),
    Known("build.uploadsummary", "the old form of task.uploadsummary"),
    Known("artifact.upload", "keeps a file or folder as an artifact", ("artifactname", "containerfolder")),
    Known("artifact.associate", "names an artifact that is kept elsewhere", ("artifactname", "type"), "refused", "use artifact.upload"),
    Known("release.updatereleasename", "changes a classic release's name", (), "refused", "classic releases are not run"),
    Known("results.publish", "publishes test results", ("type", "resultFiles", "mergeResults", "runTitle", "platform", "config", "publishRunAttachments",
          "failTaskOnFailedTests", "testRunSystem"), "refused", "use the task PublishTestResults@2"),
    Known("codecoverage.publish", "publishes code coverage", ("codecoveragetool", "summaryfile", "reportdirectory", "additionalcodecoveragefiles"),
          "refused", "use the task PublishCodeCoverageResults@2"),
)  # fmt: skip
ALIASES: Final = {"task.issue": "task.logissue"}
BY_NAME: Final = {known.name: known for known in COMMANDS}
RESTRICTED: Final = frozenset(
    f"task.{name}" for name in ("logdetail", "logissue", "complete", "setprogress", "setsecret", "setvariable", "debug", "prependpath")
)
"""What a step with `target: {commands: restricted}` may still use."""
FORMATS: Final = ("group", "endgroup", "section", "command", "warning", "error", "debug")
"""`##[group]` and its like: how a line is shown."""


def parse_command(line: str) -> LoggingCommand | None:
    """The command that stands in a line, also in its middle; None if there is none."""
    if "##vso[" not in line:
        return None
    match = _COMMAND.search(line)
    if match is None:
        return None
    properties: dict[str, str] = {}
    for part in (match[2] or "").split(";"):
        name, sign, value = part.partition("=")
        if sign:
            properties[name.strip().lower()] = _unescaped(value)
    name = match[1].lower()
    return LoggingCommand(match[1], ALIASES.get(name, name), properties, _unescaped(match[3]))


def _unescaped(text: str) -> str:
    for written, sign in _ESCAPES:
        text = text.replace(written, sign)
    return text


def escaped(text: str) -> str:
    """A text as it may stand in a command."""
    for written, sign in reversed(_ESCAPES):
        text = text.replace(sign, written)
    return text
