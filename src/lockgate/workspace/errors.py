"""What a workspace refuses."""

from __future__ import annotations

from lockgate.errors import StateError


class MissingError(StateError):
    """There is no such thing in it."""


class ConflictError(StateError):
    """What was asked contradicts what is there."""
