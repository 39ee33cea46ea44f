"""One form for the trees of every library, from which the ONNX graph is built.

A tree's inner node sends a row to `true` if `feature <mode> threshold` holds for the float32 value, and a missing value to `true`
if `missing_true`. Thresholds that a library keeps as doubles are lowered to the next float32: for a float32 x, `x <= t` and
`x <= floor32(t)` are the same, while rounding to the nearest would move rows that lie on a threshold to the other side.

The operator is TreeEnsemble of ai.onnx.ml 5, which keeps inner nodes and leaves apart and modes as bytes: a third of the size of
TreeEnsembleRegressor, which has a text per node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

_DECIDING: Final = 6
_LOOKED_AT: Final = 400
"""Trees that are enough to say which features decide."""
_TOGETHER: Final = 20
"""Trees per operator: so few stay in the processor's first cache while a batch goes through them."""
_MANY: Final = 64
"""Trees per operator of an ensemble with thousands of them, where operators begin to cost one row its time."""

_LOOKED_UP: Final = 256
"""Values per row that are looked up at once: of 100,000 rows 100 MB."""

Mode = Literal["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GT"]
Transform = Literal["identity", "sigmoid", "softmax", "probability"]
_MODES: Final[dict[str, int]] = {"BRANCH_LEQ": 0, "BRANCH_LT": 1, "BRANCH_GT": 3}
"""Numbers of the comparisons in the operator."""
_MEMBER: Final = 6
"""The operator's number for "is among"."""
Ints = NDArray[np.int64]


def floor32(values: Any) -> NDArray[np.float32]:
    """The largest float32 not above each double; beyond float32, the largest there is."""
    doubles = np.asarray(values, dtype=np.float64)
    with np.errstate(over="ignore"):
        singles = doubles.astype(np.float32)
    above = singles.astype(np.float64) > doubles
    singles[above] = np.nextafter(singles[above], np.float32(-np.inf))
    return singles


@dataclass
class Tree:
    """One tree. Inner nodes and leaves are numbered apart; a child below 0 is leaf `-1 - child`, as LightGBM writes it.

    Attributes:
        feature, threshold, true, false, missing_true: shape (inner nodes,); node 0 is the root. None at all: the tree is its leaf 0.
        values: shape (leaves,), or (leaves, outputs) for a tree that adds to every output.
        output: the output that it adds to, if it is one.
        sets: inner node → whole numbers, at least one: it asks whether the value is among them instead of comparing it.
    """

    feature: Ints
    threshold: NDArray[np.float32]
    true: Ints
    false: Ints
    missing_true: NDArray[np.bool_]
    values: NDArray[np.float64]
    output: int = 0
    sets: Mapping[int, Sequence[int]] = field(default_factory=dict)


@dataclass
class Trees:
    """The sum of trees, plus a base value per output, before the transform.

    Attributes:
        features: number of input columns.
        outputs: number of summed values: 1, or one per class.
        mode: comparison of every inner node.
        transform: from the sums to the prediction; "sigmoid" makes two probabilities of one sum.
        base: shape (outputs,).
    """

    features: int
    outputs: int
    mode: Mode
    transform: Transform
    base: NDArray[np.float64]
    trees: list[Tree] = field(default_factory=list)

    def deciding_features(self) -> NDArray[np.float64]:
        """How much each feature decides of rows' ways, shape (features,): the root of a tree 1, its children 1/2, and so on."""
        weight = np.zeros(self.features)
        every = max(1, len(self.trees) // _LOOKED_AT)
        for tree in self.trees[::every]:
            share = np.zeros(len(tree.feature))
            level, value = np.zeros(1, dtype=np.int64) if len(tree.feature) else np.zeros(0, dtype=np.int64), 1.0
            while len(level):
                share[level] = value
                children = np.concatenate([tree.true[level], tree.false[level]])
                level, value = children[children >= 0], value / 2
            np.add.at(weight, tree.feature, share)
        return weight

    @property
    def wide(self) -> bool:
        """Whether every tree adds to all outputs."""
        return bool(self.trees) and self.trees[0].values.ndim == 2

    def nodes(self, name: str, scale: float, *, many: bool) -> tuple[list[Any], list[Any], list[str]]:
        """Operators, their constants, and the names of outputs of shape (rows, outputs) whose sum is `scale` times that of the trees."""
        size = max(1, min(_MANY, _LOOKED_UP // self.outputs)) if self.wide else _MANY if many else _TOGETHER
        nodes: list[Any] = []
        constants: list[Any] = []
        outputs: list[str] = []
        for start in range(0, len(self.trees), size):
            group, output = self.trees[start : start + size], f"{name}_{start // size}"
            if self.wide:
                more, tables = _looked_up(group, output, scale, self.mode)
                nodes += more
                constants += tables
            else:
                targets = [np.full(len(tree.values), tree.output) for tree in group]
                values = [tree.values * scale for tree in group]
                nodes.append(_operator(group, output, self.mode, self.outputs, targets, values))
            outputs.append(output)
        return nodes, constants, outputs


def _looked_up(group: Sequence[Tree], output: str, scale: float, mode: Mode) -> tuple[list[Any], list[Any]]:
    """Trees that add to every output: the operator says which leaf of each tree a row comes to, and a table has the leaves' values.

    The operator knows one output per leaf; a copy of each tree per output would be as many times as large, and as slow.
    """
    from onnx import TensorProto, helper, numpy_helper

    starts = np.concatenate([[0], np.cumsum([len(tree.values) for tree in group])[:-1]])
    targets = [np.full(len(tree.values), number) for number, tree in enumerate(group)]
    leaves = [np.arange(len(tree.values)) for tree in group]
    table = np.concatenate([tree.values for tree in group]) * scale
    constants = [
        numpy_helper.from_array(starts.astype(np.int64), f"{output}_starts"),
        numpy_helper.from_array(table.astype(np.float32), f"{output}_table"),
        numpy_helper.from_array(np.array([1], dtype=np.int64), f"{output}_axis"),
    ]
    nodes = [
        _operator(group, f"{output}_leaves", mode, len(group), targets, leaves),
        # Exact: a tree with more leaves than float32 has whole numbers (2 ** 24) would be larger than a file of ONNX.
        helper.make_node("Cast", [f"{output}_leaves"], [f"{output}_whole"], to=TensorProto.INT64),
        helper.make_node("Add", [f"{output}_whole", f"{output}_starts"], [f"{output}_rows"]),
        helper.make_node("Gather", [f"{output}_table", f"{output}_rows"], [f"{output}_values"], axis=0),
        helper.make_node("ReduceSum", [f"{output}_values", f"{output}_axis"], [output], keepdims=0),
    ]
    return nodes, constants


def _operator(group: Sequence[Tree], output: str, mode: Mode, outputs: int, targets: Sequence[Any], values: Sequence[Any]) -> Any:
    """A TreeEnsemble that sums up the leaves' values in their targets, shape (rows, outputs)."""
    from onnx import helper, numpy_helper

    feature, threshold, missing = [], [], []
    children: dict[str, list[Any]] = {"true": [], "false": []}
    is_leaf: dict[str, list[Any]] = {"true": [], "false": []}
    roots: list[int] = []
    members: list[int] = []
    sets: list[float] = []
    node_at = leaf_at = 0
    for tree in group:
        roots.append(node_at)
        for node, numbers in sorted(tree.sets.items()):
            members.append(node_at + node)
            sets += [*map(float, numbers), np.nan]
        if len(tree.feature):
            feature.append(tree.feature)
            threshold.append(tree.threshold)
            missing.append(tree.missing_true)
            for side, ways in (("true", tree.true), ("false", tree.false)):
                leaf = ways < 0
                children[side].append(np.where(leaf, -1 - ways + leaf_at, ways + node_at))
                is_leaf[side].append(leaf)
        else:  # The operator knows no tree without an inner node: this one's both ways lead to its leaf.
            feature.append(np.zeros(1, dtype=np.int64))
            threshold.append(np.zeros(1, dtype=np.float32))
            missing.append(np.ones(1, dtype=np.bool_))
            for side in ("true", "false"):
                children[side].append(np.array([leaf_at]))
                is_leaf[side].append(np.ones(1, dtype=np.bool_))
        node_at += max(1, len(tree.feature))
        leaf_at += len(tree.values)
    splits = np.concatenate(threshold).astype(np.float32)
    modes = np.full(len(splits), _MODES[mode], dtype=np.uint8)
    modes[members] = _MEMBER
    node = helper.make_node("TreeEnsemble", ["features"], [output], domain="ai.onnx.ml")
    _integers(node, "n_targets", outputs)
    _integers(node, "aggregate_function", 1)  # The sum.
    _integers(node, "post_transform", 0)
    _integers(node, "tree_roots", np.array(roots))
    _integers(node, "nodes_featureids", np.concatenate(feature))
    _integers(node, "nodes_truenodeids", np.concatenate(children["true"]))
    _integers(node, "nodes_falsenodeids", np.concatenate(children["false"]))
    _integers(node, "nodes_trueleafs", np.concatenate(is_leaf["true"]).astype(np.int64))
    _integers(node, "nodes_falseleafs", np.concatenate(is_leaf["false"]).astype(np.int64))
    _integers(node, "nodes_missing_value_tracks_true", np.concatenate(missing).astype(np.int64))
    _integers(node, "leaf_targetids", np.concatenate(targets))
    tensors = {"nodes_splits": splits, "nodes_modes": modes, "leaf_weights": np.concatenate(values).astype(np.float32)}
    if sets:
        tensors["membership_values"] = np.array(sets, dtype=np.float32)
    for name, array in tensors.items():
        node.attribute.append(helper.make_attribute(name, numpy_helper.from_array(array)))
    return node


def _integers(node: Any, name: str, values: Any) -> None:
    """An attribute. The library's own way looks at the type of each of millions of values."""
    from onnx import AttributeProto

    attribute = node.attribute.add()
    attribute.name = name
    if isinstance(values, int):
        attribute.type, attribute.i = AttributeProto.INT, values
    else:
        attribute.type = AttributeProto.INTS
        attribute.ints.extend(values.tolist())


def most_deciding(weight: NDArray[np.float64]) -> list[int]:
    """The features that decide most, most decisive first: what a batch is best ordered by."""
    return [int(f) for f in np.argsort(-weight, kind="stable")[:_DECIDING] if weight[f] > 0]
