"""The database of what lies above workspaces: `.lockgate/azure.db`."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lockgate.state import state_folder


@contextmanager
def connect(root: Path, schema: str) -> Iterator[sqlite3.Connection]:
    """A connection in one transaction: all of what is done with it is kept, or nothing.

    Args:
        root: the folder that holds `.lockgate`.
        schema: tables that are made if they are not there.
    """
    connection = sqlite3.connect(state_folder(root) / "azure.db", timeout=30)
    connection.row_factory = sqlite3.Row
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(schema)
        with connection:
            yield connection
    finally:
        connection.close()
