"""An AutoML node or job as the command of the project's own `train.py`: every field is obeyed there, or refused here by name."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lockgate.execution.reader import Reader
from lockgate.execution.specification import Component, Port
from lockgate.yaml_source import Node

SCRIPT: Final = Path("data-science/src/train.py")
DATA: Final = ("training_data", "validation_data")
KEYS: Final = ("type", "task", "$schema", "name", "description", "tags", "properties", "display_name", "experiment_name", "compute", "identity",
               "environment_variables", "outputs", "resources", "log_verbosity", "limits", "featurization", "training", "primary_metric",
               "target_column_name", *DATA)  # fmt: skip
"""What a node may hold; what else Azure knows is in `_NOT_HERE`."""
_METRICS: Final = {
    "regression": {"normalized_root_mean_squared_error": "rmse", "normalized_mean_absolute_error": "mae", "r2_score": "r2"},
    "classification": {
        "accuracy": "accuracy",
        "auc_weighted": "roc_auc",
        "precision_score_weighted": "precision",
        "norm_macro_recall": "recall",
    },
}
_AZURES_METRICS: Final = {
    "regression": ("spearman_correlation", "normalized_root_mean_squared_error", "r2_score", "normalized_mean_absolute_error",
                   "normalized_root_mean_squared_log_error"),
    "classification": ("accuracy", "auc_weighted", "average_precision_score_weighted", "norm_macro_recall", "precision_score_weighted"),
}  # fmt: skip
_FAMILIES: Final = {
    "lightgbm": "lightgbm", "xgboostregressor": "xgboost", "xgboostclassifier": "xgboost", "extremerandomtrees": "extra_trees"
}  # fmt: skip
_LEVELS: Final = ("not_set", "debug", "info", "warning", "error", "critical")
_TASKS: Final = ("classification", "regression", "forecasting", "image_classification", "image_classification_multilabel", "image_instance_segmentation",
                 "image_object_detection", "text_classification", "text_classification_multilabel", "text_ner")  # fmt: skip
_NOT_HERE: Final = {
    "validation_data_size": "name validation_data",
    "n_cross_validations": "name validation_data",
    "cv_split_column_names": "name validation_data",
    "test_data": "the evaluate step judges on the test rows",
    "test_data_size": "the evaluate step judges on the test rows",
    "weight_column_name": "the search gives all rows the same weight",
    "positive_label": "classes are those of project.yml",
    "environment_id": "train.py runs in the project's own Python",
    "queue_settings": "there is no queue here",
}
_PATIENCE: Final = 20
"""Trials without a better model after which `enable_early_termination` ends a search."""


@dataclass(frozen=True)
class _Field:
    """How a field becomes an argument of train.py.

    Attributes:
        argument: its name.
        scale: what a number is multiplied by.
        least: the smallest value.
    """

    argument: str
    scale: float = 1
    least: float = 1


_LIMITS: Final = {
    "timeout_minutes": _Field("--seconds", 60),
    "trial_timeout_minutes": _Field("--trial-seconds", 60),
    "max_trials": _Field("--trials"),
    "exit_score": _Field("--exit-score", least=float("-inf")),
    # Upper bounds: trials run one after the other here, each on one machine.
    "max_concurrent_trials": _Field(""),
    "max_nodes": _Field(""),
    "max_cores_per_trial": _Field("--threads", least=-1),
}


class _AutomlReader:
    """Reads one node."""

    def __init__(self, reader: Reader, node: Node, what: str) -> None:
        self._reader = reader
        self._node = node
        self._what = what
        self._words: list[str] = []

    def read(self, name: str, root: Path) -> Component | None:
        reader, node = self._reader, self._node
        before = len(reader.mistakes)
        for key, why in _NOT_HERE.items():
            if (found := node.get(key)) is not None:
                reader.refuse(found, f"{self._what}: {key} is not supported on the desk: {why}", at_key=True)
        reader.keys(node, (*KEYS, *_NOT_HERE), self._what)
        if (verbosity := node.get("log_verbosity")) is not None:
            level = verbosity.text.lower()
            if level not in _LEVELS:
                reader.fail(verbosity, f"{self._what}.log_verbosity: found {verbosity.describe()}; allowed: {', '.join(_LEVELS)}")
            reader.note(verbosity, f"log_verbosity of {self._what} has no effect on the desk: train.py prints what it does")
        task = self._task()
        self._target()
        self._metric(task)
        self._limits()
        self._featurization()
        self._training()
        script = project_of(node.source.path, root)
        if script is None:
            reader.refuse(
                node, f"{self._what}: the desk runs an AutoML node by {SCRIPT}, and neither this file's folder nor one above it has one"
            )
        if len(reader.mistakes) > before or script is None:
            return None
        command = [
            "python", "src/train.py", "--train", "${{inputs.training_data}}", "--validation", "${{inputs.validation_data}}",
            "--model", "${{outputs.best_model}}",
        ]  # fmt: skip
        return Component(
            name=name,
            command=" ".join([*command, *(shlex.quote(word) for word in self._words)]),
            inputs={key: Port(key, "mltable") for key in DATA},
            outputs={"best_model": Port("best_model", "mlflow_model")},
            code=script.parents[1],
            environment="",
            conda_file=None,
            kind="automl",
        )

    def _one_of(self, parent: Node, key: str, allowed: tuple[str, ...], default: str = "") -> str:
        found = self._reader.text(parent, key, default)
        if found.lower() not in allowed and found:
            self._reader.fail(parent.get(key) or parent, f"{self._what}.{key}: found {found!r}; allowed: {', '.join(allowed)}")
            return ""
        return found.lower()

    def _task(self) -> str:
        task = self._one_of(self._node, "task", _TASKS)
        at = self._node.get("task") or self._node
        if self._node.get("task") is None:
            self._reader.fail(at, f"{self._what}.task: found nothing; allowed: {', '.join(_TASKS)}", at_key=True)
        elif task:
            self._words += ["--task", task]
        return task

    def _target(self) -> None:
        target = self._reader.text(self._node, "target_column_name")
        if not target:
            self._reader.fail(self._node, f"{self._what}.target_column_name: found nothing; allowed: the name of a column", at_key=True)
        self._words += ["--target", target]

    def _metric(self, task: str) -> None:
        if task not in _METRICS or self._node.get("primary_metric") is None:
            return
        metric = self._one_of(self._node, "primary_metric", _AZURES_METRICS[task])
        own = _METRICS[task].get(metric)
        if own is not None:
            self._words += ["--metric", own]
        elif metric:
            self._reader.refuse(
                self._node.value["primary_metric"],
                f"{self._what}.primary_metric: {metric!r} is not optimised on the desk; allowed here: {', '.join(_METRICS[task])}",
            )

    def _limits(self) -> None:
        limits = self._reader.mapping(self._node, "limits")
        if limits is None:
            return
        self._reader.keys(limits, (*_LIMITS, "enable_early_termination"), f"{self._what}.limits")
        if self._reader.boolean(limits, "enable_early_termination", default=False):
            self._words += ["--patience", str(_PATIENCE)]
        for key, known in _LIMITS.items():
            node = limits.get(key)
            if node is None:
                continue
            value = node.value
            if isinstance(value, bool) or not isinstance(value, int | float) or value < known.least:
                self._reader.fail(node, f"{self._what}.limits.{key}: found {node.describe()}; allowed: a number, {known.least:g} or more")
            elif key == "max_cores_per_trial" and value < 1:
                continue  # -1: as many as there are, which the project's own setting decides.
            elif known.argument:
                self._words += [known.argument, f"{value * known.scale:g}"]

    def _featurization(self) -> None:
        node = self._reader.mapping(self._node, "featurization")
        if node is None:
            self._reader.refuse(
                self._node,
                f'{self._what}: without featurization Azure makes features of its own, which the desk does not; write featurization: {{mode: "off"}}',
            )
            return
        mode = node.get("mode")
        for key, value in node.items():
            if key != "mode":
                self._reader.refuse(
                    value, f"{self._what}.featurization.{key} is not supported on the desk; the recipe makes the features", at_key=True
                )
        if mode is None or mode.value is False or mode.text.lower() == "off":
            if mode is not None and mode.value is False:
                self._reader.fail(
                    mode, f'{self._what}.featurization.mode: found {mode.text}, which YAML reads as false; allowed: "off" in quotes'
                )
            return
        if mode.text.lower() not in ("auto", "custom"):
            self._reader.fail(mode, f'{self._what}.featurization.mode: found {mode.describe()}; allowed: auto, custom, "off"')
        else:
            self._reader.refuse(
                mode,
                f'{self._what}.featurization.mode: {mode.text!r} is not supported on the desk; allowed here: "off", the recipe makes the features',
            )

    def _training(self) -> None:
        node = self._reader.mapping(self._node, "training")
        if node is None:
            return
        what = f"{self._what}.training"
        switches = ("enable_stack_ensemble", "enable_vote_ensemble", "enable_dnn_training", "enable_model_explainability")
        lists = {"allowed_training_algorithms": "--families", "blocked_training_algorithms": "--without"}
        rest = ("enable_onnx_compatible_models", "ensemble_model_download_timeout", "stack_ensemble_settings", "training_mode")
        self._reader.keys(node, (*switches, *lists, *rest), what)
        for key in switches:
            if self._reader.boolean(node, key, default=False):
                self._reader.refuse(node.value[key], f"{what}.{key}: the desk's search has none; allowed here: false", at_key=True)
        self._reader.boolean(node, "enable_onnx_compatible_models", default=True)
        for key in ("ensemble_model_download_timeout", "stack_ensemble_settings"):
            if node.get(key) is not None:
                self._reader.refuse(node.value[key], f"{what}.{key} is not supported on the desk; leave it out", at_key=True)
        if (mode := node.get("training_mode")) is not None and mode.text.lower() not in ("auto", "non_distributed"):
            self._reader.refuse(mode, f"{what}.training_mode: found {mode.text!r}; allowed on the desk: auto, non_distributed")
        for key, argument in lists.items():
            if (found := node.get(key)) is not None:
                self._algorithms(found, f"{what}.{key}", argument, strict=argument == "--families")

    def _algorithms(self, node: Node, what: str, argument: str, *, strict: bool) -> None:
        if not node.is_list:
            self._reader.fail(node, f"{what}: found {node.describe()}; allowed: a list of names")
            return
        names = []
        for item in node.value:
            own = _FAMILIES.get(item.text.lower().replace("_", ""))
            if own is not None:
                names.append(own)
            elif strict:
                # One that is blocked and not there needs no blocking.
                self._reader.refuse(
                    item,
                    f"{what}: the desk's search has no {item.text}; allowed here: LightGBM, XGBoostRegressor, XGBoostClassifier, ExtremeRandomTrees",
                )
        if names:
            self._words += [argument, ",".join(dict.fromkeys(names))]


def refuse_task(reader: Reader, node: Node, what: str) -> bool:
    """Refuse a task that Azure knows and the desk does not train; nothing else is said of such a node."""
    task = node.get("task")
    if task is None or task.text.lower() not in _TASKS or task.text.lower() in _METRICS:
        return False
    reader.refuse(task, f"{what}.task: {task.text!r} is not trained on the desk; allowed here: {', '.join(_METRICS)}")
    return True


def project_of(file: Path, root: Path) -> Path | None:
    """The train.py of the project that a file belongs to: the nearest above it, or the root's."""
    for folder in (*file.resolve().parents, root.resolve()):
        if (folder / SCRIPT).is_file():
            return folder / SCRIPT
    return None


def automl_component(reader: Reader, node: Node, name: str, what: str, root: Path) -> Component | None:
    """The component of an AutoML node; None if something is wrong with it, which has been noted."""
    return _AutomlReader(reader, node, what).read(name, root)
