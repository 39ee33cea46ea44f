"""What a command prints: its result through --query, in the form of --output."""

from __future__ import annotations

import json
from typing import Any, TextIO

from lockgate.az.errors import ArgumentError


def apply_query(result: Any, query: str) -> Any:
    """What a JMESPath expression makes of a result.

    Raises:
        ArgumentError: it is no JMESPath expression.
    """
    import jmespath
    from jmespath.exceptions import JMESPathError

    try:
        return jmespath.search(query, result)
    except JMESPathError as error:
        raise ArgumentError(f"argument --query: invalid jmespath_type value: '{query}': {error}") from None


def write(result: Any, form: str, stream: TextIO) -> None:
    """Print a result. None prints nothing, whatever the form."""
    if result is None or form == "none":
        return
    if form in ("json", "jsonc"):
        stream.write(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    elif form in ("yaml", "yamlc"):
        import yaml

        stream.write(yaml.safe_dump(result, default_flow_style=False, sort_keys=False, allow_unicode=True))
    elif form == "tsv":
        stream.writelines(_tsv_row(row) + "\n" for row in (result if isinstance(result, list) else [result]))
    else:
        stream.write(_table(result))


def _tsv_row(row: Any) -> str:
    if isinstance(row, dict):
        return "\t".join(_tsv_cell(row[key]) for key in row)
    if isinstance(row, list):
        return "\t".join(_tsv_cell(value) for value in row)
    return str(row).lower() if isinstance(row, bool) else _tsv_cell(row)


def _tsv_cell(value: Any) -> str:
    if isinstance(value, list):
        return str(len(value))
    if isinstance(value, dict):
        return ""
    return str(value)


def _table(result: Any) -> str:
    """Aligned columns: one per key whose values are no lists or objects, in capitals at the first letter."""
    rows = result if isinstance(result, list) else [result]
    if not rows:
        return ""
    if not all(isinstance(row, dict) for row in rows):
        rows = [{"Result": row} if not isinstance(row, list) else {f"Column{i + 1}": v for i, v in enumerate(row)} for row in rows]
    keys: list[str] = []
    for row in rows:
        keys += [key for key, value in row.items() if key not in keys and not isinstance(value, (dict, list)) and value is not None]
    heads = [key[:1].upper() + key[1:] for key in keys]
    cells = [["" if row.get(key) is None else str(row.get(key)) for key in keys] for row in rows]
    widths = [max(len(head), *(len(row[i]) for row in cells)) for i, head in enumerate(heads)]
    made = [heads, ["-" * width for width in widths], *cells]
    return "".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n" for row in made)
