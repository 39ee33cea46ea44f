"""What `az` says when it refuses, and its exit codes.

AzError
├── ArgumentError    the command line is wrong                            exit 2
├── NotOnTheDesk     right for Azure, refused here by name                exit 2
├── NotFound         there is no such resource                            exit 3
└── ServiceError     the service refuses: a conflict, a wrong state, …    exit 1
"""

from __future__ import annotations

from typing import ClassVar

from lockgate.errors import LockgateError


class AzError(LockgateError):
    """Base of what `az` refuses. `str()` is printed after ERROR:."""

    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "AzError"


class ArgumentError(AzError):
    """The command line is wrong."""

    exit_code = 2


class NotOnTheDesk(AzError):  # noqa: N818 - what it is, not that it is an error
    """Right for Azure, and not run on the desk."""

    exit_code = 2


class NotFound(AzError):  # noqa: N818 - what it is, not that it is an error
    """There is no such resource."""

    exit_code = 3


class ServiceError(AzError):
    """The service refuses."""
