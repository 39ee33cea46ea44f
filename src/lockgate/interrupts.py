"""Signals that ask for an end are counted, and looked at where it is safe to stop."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Final

from lockgate.errors import EXIT_INTERRUPTED

_IMPATIENT: Final = 4


class Interrupts:
    """Counts SIGINT, SIGTERM and SIGHUP from now on.

    An exception out of a signal handler can come up in the middle of anything, and be lost there or break off the
    cleaning up. So the first signal asks, the second hurries, and the fourth ends the process at once.
    """

    def __init__(self) -> None:
        self.count = 0
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a signal handler's signature
        self.count += 1
        if self.count >= _IMPATIENT:
            sys.stderr.flush()
            os._exit(EXIT_INTERRUPTED)
