"""The expression language of Azure Pipelines: text in, value out. Pure: it reads no file, clock or environment."""

from lockgate.expressions.errors import ExpressionError, UnknownValueError
from lockgate.expressions.evaluator import Scope, evaluate
from lockgate.expressions.parser import parse

__all__ = ["ExpressionError", "Scope", "UnknownValueError", "evaluate", "parse"]
