"""The verdict on a model as Markdown: the gate's checks, the models' figures, and bars that need no picture. Standard library alone.

    verdict.py FOLDER           FOLDER holds decision.json and metrics.json, as evaluate writes them

Azure Pipelines shows Markdown in a run's summary and no pictures of its own; the plots themselves are in the report's artifact.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

WIDTH = 24
"""Characters of the longest bar."""
SHOWN = 8
"""Columns whose importance is shown."""


def bar(value: float, largest: float) -> str:
    """A bar in proportion, at least a thin one."""
    eighths = max(1, round(WIDTH * 8 * value / largest)) if largest > 0 and value > 0 else 0
    return "█" * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]


def bars(rows: list[tuple[str, float]], unit: str) -> list[str]:
    """Names, bars and figures under each other, as a block of code."""
    largest = max((value for _, value in rows), default=0.0)
    wide = max((len(name) for name, _ in rows), default=0)
    return ["```text", *(f"{name:<{wide}}  {bar(value, largest):<{WIDTH}}  {value:,.4g}{unit}" for name, value in rows), "```"]


def verdict(decision: dict, metrics: dict) -> str:
    """The whole text."""
    lines = [f"### {'PASSED' if decision['passed'] else 'REFUSED'}: {decision['summary']}", ""]
    lines += [f"- {'✔' if check['passed'] else '✘'} {check['sentence']}" for check in decision["checks"]]
    models = {name: one for name, one in (metrics.get("candidates") or {}).items() if one.get("metrics")}
    if metrics.get("champion"):
        models["champion"] = metrics["champion"]
    metric = metrics.get("metric", "")
    unit = f" {metrics['unit']}" if metrics.get("unit") and metric in ("rmse", "mae", "median_absolute_error") else ""
    values = {name: figure(one, metric) for name, one in models.items()}
    known = [(name, value) for name, value in values.items() if value is not None]
    if known:
        lines += ["", f"**{metric} on {metrics.get('rows', 0):,} unseen rows**", "", *bars(known, unit)]
    importance = (models.get(metrics.get("winner", "")) or {}).get("importance") or {}
    if importance:
        top = sorted(importance.items(), key=lambda item: -item[1])[:SHOWN]
        lines += ["", f"**what {metric} loses when a column is shuffled**", "", *bars(top, unit)]
    return "\n".join(lines) + "\n"


def figure(model: dict, metric: str) -> float | None:
    """A model's value of a metric; None if it has none."""
    found = (model.get("metrics") or {}).get(metric)
    value = found.get("value") if isinstance(found, dict) else found
    return float(value) if isinstance(value, (int, float)) else None


def main() -> None:
    """Print it."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = Path(sys.argv[1])
    decision = json.loads((folder / "decision.json").read_text(encoding="utf-8"))
    path = folder / "metrics.json"
    metrics = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    print(verdict(decision, metrics), end="")


if __name__ == "__main__":
    main()
