"""`iif(condition, then, otherwise)`."""

from __future__ import annotations

from typing import Any

from lockgate.expressions.function import Function, of_values
from lockgate.expressions.values import to_boolean


def _iif(condition: Any, then: Any, otherwise: Any) -> Any:
    return then if to_boolean(condition) else otherwise


FUNCTION = Function("iif", 3, 3, of_values(_iif), "The second if the first is true, else the third.", ("iif(eq(1, 1), 'yes', 'no')", "yes"))
