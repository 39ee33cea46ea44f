"""`az` inside a run: asks the process that has its modules loaded (`starter`) to be it; without one it is started anew.

    python -I -S client.py PYTHON [WORDS …]

It is a script that imports what Python itself has loaded and two modules of C: it runs a hundred times in a delivery, and reading a module
takes a millisecond or more.
"""

import _signal  # type: ignore[import-not-found]
import _socket
import os
import sys

_FORWARDED = (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP, _signal.SIGQUIT)


def _ask(address: str, words: list[str]) -> int | None:
    """Have it done: the exit code, below 0 the signal that ended it; None if nobody has begun with it."""
    # What it is to be: its folder, its mask, its words and its variables.
    umask = os.umask(0)
    os.umask(umask)
    variables = [name + b"=" + text for name, text in os.environb.items()]
    parts = [os.getcwdb(), b"%d" % umask, b"%d" % len(words), *map(os.fsencode, words), *variables]  # noqa: PTH109 - pathlib takes ten milliseconds
    asked = b"\0".join(parts)
    streams = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2))
    door = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    before = [(number, _signal.getsignal(number)) for number in _FORWARDED]
    try:
        door.connect(address)
        door.sendmsg([b"%10d" % len(asked)], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
        for number in _FORWARDED:
            _signal.signal(number, lambda number, _: door.send(bytes([number])))
        door.sendall(asked)
        begun = door.recv(1)
    except OSError:
        begun = b""
    if not begun:
        for number, handler in before:
            _signal.signal(number, handler)
        return None
    # From here on it must not be done once more.
    answer = b""
    try:
        while more := door.recv(16):
            answer += more
    except OSError:
        answer = b""
    if not answer:
        sys.stderr.write(
            "ERROR: the process that did what az was asked for was ended, perhaps before it was done; look, and run the step again\n"
        )
        return 1
    return int(answer)


def main(python: str, words: list[str]) -> None:
    """Do a command line of az, and end as it does."""
    whose, _, address = os.environ.get("LOCKGATE_AZ_SOCKET", "").rpartition(":")
    code = _ask(address, words) if whose == __file__ else None
    if code is None:
        os.execv(python, [python, "-m", "lockgate.az", *words])  # noqa: S606 - its own module, with the words as they came
    elif code < 0:
        # As it was ended itself, so that whoever waits sees the same.
        _signal.signal(-code, _signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    else:
        os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
