"""The order of nodes, and the cycles that leave none."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from graphlib import TopologicalSorter


def in_order(needs: Mapping[str, AbstractSet[str]]) -> list[str]:
    """Every node after all it waits for. There may be no cycle."""
    return list(TopologicalSorter(needs).static_order())


def find_cycle(needs: Mapping[str, AbstractSet[str]]) -> list[str] | None:
    """A cycle as a list of nodes that ends with its first one; None if there is none.

    Args:
        needs: node → the nodes it waits for.
    """
    state: dict[str, int] = {}
    for start in needs:
        stack = [(start, iter(sorted(needs[start])))]
        if state.get(start):
            continue
        state[start] = 1
        while stack:
            node, waiting = stack[-1]
            following = next(waiting, None)
            if following is None:
                state[node] = 2
                stack.pop()
            elif state.get(following) == 1:
                path = [name for name, _ in stack]
                return [*path[path.index(following) :], following]
            elif not state.get(following) and following in needs:
                state[following] = 1
                stack.append((following, iter(sorted(needs[following]))))
    return None
