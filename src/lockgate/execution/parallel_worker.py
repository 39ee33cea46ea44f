"""A process of a parallel job: imports the script, calls init(), and then run(mini_batch) for every line that it is sent.

Started by file, in the job's own Python, so it imports the standard library alone. Its answers go through a pipe of their own: a script may print.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import traceback
from typing import Any


def rows_of(found: Any) -> list[str]:
    """What run() returned, as lines."""
    if found is None:
        return []
    if hasattr(found, "to_csv"):
        lines: list[str] = found.to_csv(sep=" ", header=False, index=False).splitlines()
        return lines
    if isinstance(found, str):
        raise TypeError("run() returned a text; allowed: a list, or a data frame")
    return [str(item) for item in found]


def main() -> None:
    """Serve until the orders end."""
    orders, answers, entry = os.fdopen(int(sys.argv[1]), "rb"), os.fdopen(int(sys.argv[2]), "wb"), sys.argv[3]
    sys.argv = [entry, *sys.argv[4:]]
    sys.path.insert(0, os.path.dirname(entry))  # noqa: PTH120

    def say(what: dict[str, Any]) -> None:
        answers.write(json.dumps(what).encode() + b"\n")
        answers.flush()

    try:
        specification = importlib.util.spec_from_file_location("entry_script", entry)
        if specification is None or specification.loader is None:
            raise ImportError(f"{entry} is no Python file")  # noqa: TRY301
        module = importlib.util.module_from_spec(specification)
        sys.modules["entry_script"] = module
        specification.loader.exec_module(module)
        if not callable(getattr(module, "run", None)):
            raise ImportError("the script has no function run(mini_batch)")  # noqa: TRY301
        if callable(getattr(module, "init", None)):
            module.init()
    except Exception as error:  # noqa: BLE001 - whatever a script raises is told to the driver and written to the log
        traceback.print_exc()
        say({"error": f"{type(error).__name__}: {error}"})
        return
    say({"ready": True})
    for line in orders:
        try:
            say({"rows": rows_of(module.run(json.loads(line)))})
        except Exception as error:  # noqa: BLE001 - see above
            traceback.print_exc()
            say({"error": f"{type(error).__name__}: {error}"})
        sys.stdout.flush()
    shutdown = getattr(module, "shutdown", None)
    if callable(shutdown):
        shutdown()


if __name__ == "__main__":
    main()
