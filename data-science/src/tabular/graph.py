"""The ONNX graph of a model or of an ensemble: one file that takes features and gives predictions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from .calling import FACTORS
from .layers import Layers
from .trees import Trees, most_deciding

ROW_ORDER: Final = "row_order"
"""Key of the ONNX file's metadata that names the features by which a batch is best ordered."""
_MANY_TREES: Final = 2_000
"""Trees of a graph from which on there are more of them per operator."""
Link = Literal["identity", "log"]
"""From a member's value to the target's unit: as it is, or exp(value) - 1."""


@dataclass(frozen=True)
class Part:
    """A member of an ensemble as the graph needs it.

    Attributes:
        forms: of its models, whose raw values are averaged.
        weight: of its prediction.
        shift, scale: of a regression: scale * raw + shift is the target, or with the link "log" its logarithm.
        smoothing: of a forest's chances: they are mixed with this share of even ones.
        temperature: of a classification: its chances are raised to 1 / temperature and sum to 1 again.
    """

    forms: Sequence[Trees | Layers]
    weight: float = 1.0
    link: Link = "identity"
    shift: float = 0.0
    scale: float = 1.0
    smoothing: float = 0.0
    temperature: float = 1.0


class _Builder:
    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._names = 0

    def name(self, stem: str) -> str:
        self._names += 1
        return f"{stem}_{self._names}"

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        from onnx import helper

        output = self.name(operator.lower())
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def constant(self, values: Any) -> str:
        from onnx import numpy_helper

        name = self.name("constant")
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype=np.float32), name))
        return name


def build(parts: Sequence[Part], features: int, classes: int, *, temperature: float = 1.0, factors: Sequence[float] = ()) -> Any:
    """The ONNX model: input `features` (n, features) float32, output `prediction`.

    Args:
        parts: the members; their weights sum to 1.
        features: number of input columns.
        classes: 0 for a regression.
        temperature: chances are raised to 1 / temperature and sum to 1 again.
        factors: by which rows are called (see `calling`); for the metadata.

    Returns:
        `prediction` is (n, 1) for a regression, (n, classes) probabilities for a classification.
    """
    from onnx import TensorProto, checker, helper

    b = _Builder()
    many = sum(len(form.trees) for part in parts for form in part.forms if isinstance(form, Trees)) > _MANY_TREES
    # Members of a regression that need no link are one sum: their weights go into the leaves.
    plain: list[str] = []
    base = 0.0
    answers: list[str] = []
    for part in parts:
        if classes == 0 and part.link == "identity":
            terms, own = _raw(b, part, part.weight * part.scale, many=many)
            plain += terms
            base += part.weight * part.shift + float(own[0])
            continue
        terms, own = _raw(b, part, 1.0, many=many)
        raw = b.add("Add", b.add("Sum", *terms), b.constant(own))
        answers.append(b.add("Mul", _predicted(b, raw, part, classes), b.constant(part.weight)))
    if plain:
        answers.append(b.add("Add", b.add("Sum", *plain), b.constant([base])))
    total = b.add("Sum", *answers)
    total = _tempered(b, total, temperature)
    b.nodes.append(helper.make_node("Identity", [total], ["prediction"]))
    graph = helper.make_graph(
        b.nodes,
        "model",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["rows", features])],
        [helper.make_tensor_value_info("prediction", TensorProto.FLOAT, ["rows", classes or 1])],
        b.constants,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 5)]
    model = helper.make_model(graph, producer_name="lockgate", opset_imports=opsets, ir_version=10)
    called = {FACTORS: json.dumps(list(factors))} if len(factors) else {}
    helper.set_model_props(model, {ROW_ORDER: json.dumps(_row_order(parts, features)), **called})
    checker.check_model(model)
    return model


def _raw(b: _Builder, part: Part, scale: float, *, many: bool) -> tuple[list[str], Any]:
    """Names whose sum, with the constant, is `scale` times the mean raw value of a part's models."""
    share = scale / len(part.forms)
    names: list[str] = []
    base: Any = np.zeros(part.forms[0].outputs)
    for form in part.forms:
        if isinstance(form, Trees):
            nodes, constants, outputs = form.nodes(b.name("trees"), share, many=many)
            b.nodes += nodes
            b.constants += constants
            names += outputs
            base = base + share * form.base
        else:
            name = b.name("layers")
            nodes, constants = form.nodes(name)
            b.nodes += nodes
            b.constants += constants
            names.append(b.add("Mul", name, b.constant(share)))
    if not names:  # Models of no tree at all say the same of every row.
        names.append(_zeros(b))
    return names, base


def _zeros(b: _Builder) -> str:
    """Zeros of shape (rows, 1)."""
    from onnx import TensorProto

    column = b.add("Slice", "features", *(_whole(b, [value]) for value in (0, 1, 1)))
    return b.add("Cast", b.add("And", b.add("IsNaN", column), b.add("Not", b.add("IsNaN", column))), to=TensorProto.FLOAT)


def _whole(b: _Builder, values: list[int]) -> str:
    from onnx import numpy_helper

    name = b.name("constant")
    b.constants.append(numpy_helper.from_array(np.array(values, dtype=np.int64), name))
    return name


def _tempered(b: _Builder, chances: str, temperature: float) -> str:
    if temperature == 1.0:
        return chances
    sharp = b.add("Pow", chances, b.constant(1 / temperature))
    return b.add("Div", sharp, b.add("ReduceSum", sharp, _whole(b, [1]), keepdims=1))


def _predicted(b: _Builder, raw: str, part: Part, classes: int) -> str:
    """From a part's mean raw value to its prediction."""
    if classes == 0:
        scaled = b.add("Add", b.add("Mul", raw, b.constant(part.scale)), b.constant(part.shift))
        return b.add("Sub", b.add("Exp", scaled), b.constant(1.0))
    transform = part.forms[0].transform
    if transform == "softmax":
        # Of the values before the exponential, and so exact where a chance is tiny.
        raw = raw if part.temperature == 1.0 else b.add("Mul", raw, b.constant(1 / part.temperature))
        return b.add("Softmax", raw, axis=1)
    if transform == "sigmoid":
        raw = raw if part.temperature == 1.0 else b.add("Mul", raw, b.constant(1 / part.temperature))
        # Not 1 - sigmoid, which loses a small chance to rounding; a temperature would bring the loss to light.
        return b.add("Concat", b.add("Sigmoid", b.add("Neg", raw)), b.add("Sigmoid", raw), axis=1)
    if part.smoothing:
        raw = b.add("Add", b.add("Mul", raw, b.constant(1 - part.smoothing)), b.constant(part.smoothing / classes))
    return _tempered(b, raw, part.temperature)


def _row_order(parts: Sequence[Part], features: int) -> list[int]:
    weight = np.zeros(features)
    for part in parts:
        for form in part.forms:
            if isinstance(form, Trees):
                found = form.deciding_features()
                weight[: len(found)] += found
    return most_deciding(weight)
