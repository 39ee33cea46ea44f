"""One form for the trees of every library, from which the ONNX graph is built.

A tree's inner node sends a row to `true_child` if `feature <mode> threshold` holds for the float32 value, and a missing
value to `true_child` if `missing_true`. Thresholds that a library keeps as doubles are lowered to the next float32:
for a float32 x, `x <= t` and `x <= floor32(t)` are the same, while rounding to the nearest would move rows that lie on
a threshold to the other side.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Mode = Literal["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GT"]
Transform = Literal["identity", "sigmoid", "softmax", "probability"]


def floor32(value: float) -> float:
    """The largest float32 not above a double."""
    single = np.float32(value)
    if float(single) > value:
        single = np.nextafter(single, np.float32(-np.inf))
    return float(single)


@dataclass
class Trees:
    """The sum of trees, plus a base value per output, through a transform.

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
    tree: list[int] = field(default_factory=list)
    node: list[int] = field(default_factory=list)
    feature: list[int] = field(default_factory=list)
    threshold: list[float] = field(default_factory=list)
    true_child: list[int] = field(default_factory=list)
    false_child: list[int] = field(default_factory=list)
    missing_true: list[int] = field(default_factory=list)
    leaf: list[bool] = field(default_factory=list)
    leaf_tree: list[int] = field(default_factory=list)
    leaf_node: list[int] = field(default_factory=list)
    leaf_output: list[int] = field(default_factory=list)
    leaf_value: list[float] = field(default_factory=list)
    count: int = 0

    def add_split(self, node: int, feature: int, threshold: float, true: int, false: int, *, missing_true: bool) -> None:
        """Add an inner node to the tree begun last."""
        self._node(node, feature, threshold, true, false, missing_true=missing_true, leaf=False)

    def add_leaf(self, node: int, values: dict[int, float]) -> None:
        """Add a leaf with its value per output."""
        self._node(node, 0, 0.0, 0, 0, missing_true=False, leaf=True)
        for output, value in values.items():
            self.leaf_tree.append(self.count - 1)
            self.leaf_node.append(node)
            self.leaf_output.append(output)
            self.leaf_value.append(value)

    def begin_tree(self) -> None:
        """Start a tree; its root is node 0."""
        self.count += 1

    def _node(self, node: int, feature: int, threshold: float, true: int, false: int, *, missing_true: bool, leaf: bool) -> None:
        self.tree.append(self.count - 1)
        self.node.append(node)
        self.feature.append(feature)
        self.threshold.append(threshold)
        self.true_child.append(true)
        self.false_child.append(false)
        self.missing_true.append(int(missing_true))
        self.leaf.append(leaf)

    def to_onnx(self) -> Any:
        """The ONNX model: input `features` (n, features) float32, output `prediction`.

        `prediction` is (n, 1) for a regression, (n, classes) probabilities for a classification.
        """
        from onnx import TensorProto, checker, helper

        nodes = [
            helper.make_node(
                "TreeEnsembleRegressor",
                ["features"],
                ["sums"],
                domain="ai.onnx.ml",
                n_targets=self.outputs,
                aggregate_function="SUM",
                post_transform="NONE",
                base_values=[float(b) for b in self.base],
                nodes_treeids=self.tree,
                nodes_nodeids=self.node,
                nodes_featureids=self.feature,
                nodes_values=self.threshold,
                nodes_modes=["LEAF" if leaf else self.mode for leaf in self.leaf],
                nodes_truenodeids=self.true_child,
                nodes_falsenodeids=self.false_child,
                nodes_missing_value_tracks_true=self.missing_true,
                target_treeids=self.leaf_tree,
                target_nodeids=self.leaf_node,
                target_ids=self.leaf_output,
                target_weights=self.leaf_value,
            )
        ]
        initializers = []
        width = self.outputs
        if self.transform == "softmax":
            nodes.append(helper.make_node("Softmax", ["sums"], ["prediction"], axis=1))
        elif self.transform == "sigmoid":
            initializers.append(helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0]))
            nodes += [
                helper.make_node("Sigmoid", ["sums"], ["positive"]),
                helper.make_node("Sub", ["one", "positive"], ["negative"]),
                helper.make_node("Concat", ["negative", "positive"], ["prediction"], axis=1),
            ]
            width = 2
        else:
            nodes.append(helper.make_node("Identity", ["sums"], ["prediction"]))
        graph = helper.make_graph(
            nodes,
            "model",
            [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["rows", self.features])],
            [helper.make_tensor_value_info("prediction", TensorProto.FLOAT, ["rows", width])],
            initializers,
        )
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
        model = helper.make_model(graph, producer_name="lockgate", opset_imports=opsets, ir_version=9)
        checker.check_model(model)
        return model
