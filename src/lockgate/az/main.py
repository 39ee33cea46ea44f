"""`az`: reads the command line, does the command, prints the result."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from lockgate.az.arguments import Invocation, check_required, find_command, parse
from lockgate.az.context import _DEFAULTS, Context
from lockgate.az.errors import ArgumentError, AzError, NotOnTheDesk
from lockgate.az.table import GLOBAL, lines, options_of
from lockgate.errors import FileError, LockgateError, StateError, UsageError


def main(words: list[str], environment: Mapping[str, str] | None = None, stdout: TextIO | None = None, stderr: TextIO | None = None) -> int:
    """Do a command.

    Returns:
        az's exit code: 0, 1 for what the service refuses, 2 for a wrong command line, 3 for what is not there.
    """
    environment = os.environ if environment is None else environment
    out, err = stdout or sys.stdout, stderr or sys.stderr
    try:
        return _main(words, environment, out, err)
    except LockgateError as error:
        err.write(f"ERROR: {error}\n")
        return _exit_code(error)
    except OSError as error:
        err.write(f"ERROR: {error.filename or 'the system'}: {error.strerror or error}\n")
        return 1
    except KeyboardInterrupt:
        return 130


def _exit_code(error: LockgateError) -> int:
    from lockgate.workspace.errors import MissingError

    if isinstance(error, AzError):
        return error.exit_code
    if isinstance(error, MissingError):
        return 3
    if isinstance(error, UsageError):
        return 2
    return 1 if isinstance(error, (FileError, StateError)) else error.exit_code


def _main(words: list[str], environment: Mapping[str, str], out: TextIO, err: TextIO) -> int:
    if words in (["--version"], ["-v"]):
        words = ["version"]
    command, rest = find_command(words)
    if command not in lines():
        _help_of_group(command, out)
        if any(word in ("--help", "-h") for word in rest) or not words:
            return 0
        raise ArgumentError(f"az {command}: a command is missing; see those above")
    if any(word in ("--help", "-h") for word in rest):
        _help_of_command(command, out)
        return 0
    found = parse(command, rest)
    from lockgate.az import handlers

    handler = handlers.find(command)
    if handler is None:
        raise NotOnTheDesk(f"az {command} is not run on the desk: {handlers.why_not(command)}")
    options = options_of(command)
    accepted = dict(handler.accepts)
    obeyed = {option.key for option in options} if "*" in handler.obeys else set(handler.obeys)
    for option in options:
        if found.has(option.key) and option.key not in obeyed and option.key not in accepted:
            raise NotOnTheDesk(f"{option.name} of az {command} is not supported on the desk; leave it out, or run this in Azure")
    context = Context(found, _root(environment), environment)
    for option in options:
        if option.required and not found.has(option.key) and option.key in _DEFAULTS and context.text(option.key):
            found.values[option.key] = [context.text(option.key)]
    check_required(found, options)
    if command not in ("login", "logout", "configure", "version") and not command.startswith("extension"):
        context.subscriptions()
        _check_subscription(context)
    if found.has("debug"):
        err.write(f"DEBUG: lockgate az: command {command}, options {', '.join(found.given) or 'none'}\n")
    if "yes" in obeyed and handler.obeys != ("*",) and not found.has("yes"):
        _confirm()
    result = handler.run(context)
    _print(result, found, out)
    return 0


def _confirm() -> None:
    if not sys.stdin.isatty():
        raise AzError("Unable to prompt for confirmation as no tty available. Use --yes.")
    if input("Are you sure you want to perform this operation? (y/n): ").strip().lower() not in ("y", "yes"):
        raise AzError("Operation cancelled.")


def _check_subscription(context: Context) -> None:
    wanted = context.invocation.text("subscription")
    known = context.subscriptions()
    if wanted and not any(wanted.lower() in (str(one["id"]).lower(), str(one["name"]).lower()) for one in known):
        raise AzError(
            f"The subscription of '{wanted}' doesn't exist in cloud 'AzureCloud'. There is: {', '.join(str(one['name']) for one in known)}."
        )


def _print(result: object, found: Invocation, out: TextIO) -> None:
    from lockgate.az.output import apply_query, write

    if found.has("query"):
        result = apply_query(result, found.text("query"))
    write(result, found.text("output", "json").lower(), out)


def _root(environment: Mapping[str, str]) -> Path:
    if own := environment.get("LOCKGATE_ROOT"):
        return Path(own)
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / ".lockgate").is_dir() or (folder / ".git").exists()), here)


def _help_of_group(group: str, out: TextIO) -> None:
    from lockgate.az import handlers

    count = len(group.split())
    inside = sorted({" ".join(name.split()[: count + 1]) for name in lines() if name.split()[:count] == group.split()})
    out.write(f"\nGroup\n    az {group}\n\nCommands\n".replace("az \n", "az\n"))
    for name in inside:
        handler = handlers.find(name) if name in lines() else None
        said = handler.help if handler else "" if name not in lines() else "not run on the desk"
        out.write(f"    {name.split()[-1]:<28} {said}".rstrip() + "\n")


def _help_of_command(command: str, out: TextIO) -> None:
    from lockgate.az import handlers

    handler = handlers.find(command)
    out.write(
        f"\nCommand\n    az {command} : {handler.help if handler else 'not run on the desk: ' + handlers.why_not(command)}\n\nArguments\n"
    )
    accepted = dict(handler.accepts) if handler else {}
    for option in sorted(options_of(command), key=lambda option: (not option.required, option.name)):
        said = "[Required]" if option.required else ""
        if handler and option.key in accepted:
            said = f"without effect here: {accepted[option.key]}"
        elif handler and "*" not in handler.obeys and option.key not in handler.obeys:
            said = "not supported on the desk"
        allowed = f" Allowed values: {', '.join(option.values)}." if option.values else ""
        out.write(f"    {' '.join(option.names):<40} {said}{allowed}".rstrip() + "\n")
    out.write("\nGlobal Arguments\n" + "".join(f"    {' '.join(option.names)}\n" for option in GLOBAL))
