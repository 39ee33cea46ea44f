"""`train.py` with the portfolio in another order: `python search_order.py SOURCE ORDER …`, with the arguments of `train.py` after that."""

from __future__ import annotations

import sys
from typing import Any

ORDERS = ("reversed", "catboost-first")


def reordered(found: list[Any], order: str) -> list[Any]:
    """The configurations in another order.

    Args:
        found: as the portfolio has them.
        order: `reversed`, or `catboost-first`, with the first LightGBM after the first networks.
    """
    if order == "reversed":
        return found[::-1]
    if order != "catboost-first":
        raise SystemExit(f"no order {order!r}; there are {', '.join(ORDERS)}")
    first = next((c for c in found if c.family == "lightgbm"), None)
    moved = [c for c in found if first is not None and c.settings == first.settings and c.family == first.family]
    rest = [c for c in found if c not in moved]
    place = max((n for n, c in enumerate(rest) if c.family == "neural" and not c.settings), default=-1) + 1
    return [*rest[:place], *moved, *rest[place:]]


def main() -> None:
    """Run the step."""
    source, order = sys.argv.pop(1), sys.argv.pop(1)
    sys.path.insert(0, source)
    import train
    from tabular import search
    from tabular.errors import run_step

    usual = search.portfolio
    search.portfolio = lambda *args, **options: reordered(usual(*args, **options), order)  # type: ignore[assignment] # the same but for the order
    run_step(train.main)


if __name__ == "__main__":
    main()
