"""What can be wrong with an expression. Callers that know the file turn these into mistakes with a place."""

from __future__ import annotations


class ExpressionError(Exception):
    """An expression is wrong.

    Attributes:
        offset: where, in characters from the expression's start; None if it concerns the whole.
    """

    def __init__(self, message: str, offset: int | None = None) -> None:
        super().__init__(message)
        self.offset = offset

    def at(self, offset: int) -> ExpressionError:
        """The same error with a place, unless it has one."""
        if self.offset is None:
            self.offset = offset
        return self


class UnknownValueError(Exception):
    """The value can't be known yet: an output of a job that has not run, or a parameter that has no value when a file is only checked."""
