"""The report's plots, with units on every axis. Colours are Okabe and Ito's, and never carry a meaning alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from .comparison import Interval
from .metrics import confusion
from .slices import SliceFigure

BLUE: Final = "#0072B2"
ORANGE: Final = "#D55E00"
GREEN: Final = "#009E73"
GREY: Final = "#5f6b76"
HATCHES: Final = ("", "///", "...", "xxx", "\\\\\\", "++")
COLOURS: Final = (BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", "#56B4E9")
_MOST_POINTS: Final = 4_000
_MOST_BARS: Final = 15

mpl.rcParams.update(
    {
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": GREY,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.titlesize": 10,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#e3e7eb",
        "hatch.linewidth": 0.6,
    }
)


def _save(figure: Figure, path: Path) -> Path:
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=110)
    return path


def _axes(width: float = 5.6, height: float = 3.8) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _unit(name: str, unit: str) -> str:
    return f"{name} ({unit})" if unit else name


def predicted_against_actual(path: Path, actual: NDArray[Any], predicted: NDArray[Any], target: str, unit: str) -> Path:
    """A point per test row; the closer to the diagonal, the better."""
    chosen = np.random.default_rng(0).permutation(len(actual))[:_MOST_POINTS]
    figure, axes = _axes()
    low, high = np.quantile(np.concatenate([actual, predicted]), [0.001, 0.999])
    axes.plot([low, high], [low, high], color=ORANGE, linewidth=1.2, linestyle="--", label="perfect")
    axes.scatter(actual[chosen], predicted[chosen], s=7, alpha=0.35, color=BLUE, linewidths=0, label="test row")
    axes.set(xlim=(low, high), ylim=(low, high), xlabel=_unit(f"actual {target}", unit), ylabel=_unit(f"predicted {target}", unit))
    axes.set_title("Predicted against actual")
    axes.legend(frameon=False, loc="upper left")
    return _save(figure, path)


def residuals(path: Path, actual: NDArray[Any], predicted: NDArray[Any], unit: str) -> Path:
    """How far off predictions are, and in which direction."""
    off = predicted - actual
    low, high = np.quantile(off, [0.005, 0.995])
    figure, axes = _axes()
    axes.hist(np.clip(off, low, high), bins=50, color=BLUE, edgecolor="white", linewidth=0.4)
    axes.axvline(0, color=GREY, linewidth=1)
    axes.axvline(float(off.mean()), color=ORANGE, linestyle="--", linewidth=1.4, label=f"mean {off.mean():+.2f} {unit}".rstrip())
    axes.set(xlabel=_unit("predicted minus actual", unit), ylabel="test rows")
    axes.set_title("Residuals (the outer 0.5 % are drawn at the edges)")
    axes.legend(frameon=False)
    return _save(figure, path)


def slice_errors(path: Path, figures: Sequence[SliceFigure], metric: str, unit: str, limit: float | None) -> Path:
    """The metric by slice, with the number of rows behind each."""
    shown = list(figures)[:40]
    figure, axes = _axes(height=max(2.2, 0.26 * len(shown) + 1.0))
    names = [f"{f.column}: {f.label}  ({f.rows:,})" for f in shown]
    over = [limit is not None and f.ratio > limit for f in shown]
    bars = axes.barh(names, [f.value for f in shown], color=[ORANGE if o else BLUE for o in over], height=0.65)
    for bar, bad in zip(bars, over, strict=True):
        bar.set_hatch("///" if bad else "")
        bar.set_edgecolor("white")
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set(xlabel=_unit(metric, unit))
    axes.set_title(f"{metric} by slice (test rows)" + ("; hatched: over the limit" if any(over) else ""))
    return _save(figure, path)


def model_comparison(path: Path, figures: Mapping[str, Interval], metric: str, unit: str, note: str) -> Path:
    """The metric of every model with its 95 % interval."""
    figure, axes = _axes(height=max(2.0, 0.5 * len(figures) + 1.1))
    for position, interval in enumerate(figures.values()):
        axes.barh(position, interval.value, color=COLOURS[position % len(COLOURS)], hatch=HATCHES[position % len(HATCHES)],
                  edgecolor="white", height=0.6)  # fmt: skip
        spread = [[max(0.0, interval.value - interval.low)], [max(0.0, interval.high - interval.value)]]
        axes.errorbar(interval.value, position, xerr=spread, color="black", capsize=3, linewidth=1)
        axes.annotate(f"{interval.value:.4g}", (interval.high, position), xytext=(6, 0), textcoords="offset points", va="center")
    axes.set_yticks(range(len(figures)), list(figures))
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.grid(axis="y", visible=False)
    axes.set(xlabel=_unit(metric, unit))
    axes.set_title(f"Models compared ({note}), with 95 % intervals")
    return _save(figure, path)


def importance_bars(path: Path, importance: Mapping[str, float], metric: str, unit: str, rows: int) -> Path:
    """How much worse the model gets when a column is shuffled."""
    shown = dict(list(importance.items())[:_MOST_BARS])
    figure, axes = _axes(height=max(2.2, 0.26 * len(shown) + 1.0))
    axes.barh(list(shown), list(shown.values()), color=BLUE, height=0.65)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.axvline(0, color=GREY, linewidth=1)
    axes.set(xlabel=_unit(f"{metric} gets worse by", unit))
    axes.set_title(f"Permutation importance ({rows:,} test rows)")
    return _save(figure, path)


def confusion_matrix(path: Path, actual: NDArray[Any], predicted: NDArray[Any], classes: Sequence[str]) -> Path:
    """Counts of actual against predicted classes, with the share of each actual class."""
    table = confusion(actual, predicted)
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    figure, axes = _axes(height=max(3.4, 0.5 * len(classes) + 1.8))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i in range(len(classes)):
        for j in range(len(classes)):
            colour = "white" if shares[i, j] > 0.55 else "black"
            axes.text(j, i, f"{table[i, j]:,}\n{shares[i, j]:.0%}", ha="center", va="center", color=colour)
    axes.set_xticks(range(len(classes)), list(classes), rotation=45 if len(classes) > 4 else 0)
    axes.set_yticks(range(len(classes)), list(classes))
    axes.grid(visible=False)
    axes.set(xlabel="predicted class", ylabel="actual class")
    axes.set_title("Confusion matrix")
    return _save(figure, path)


def _curves(classes: Sequence[str]) -> list[tuple[int, str]]:
    return [(1, classes[1])] if len(classes) == 2 else list(enumerate(classes))


def _points(actual: NDArray[Any], score: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], int, int]:
    """True and false positives at every distinct threshold, from the highest down."""
    order = np.argsort(-score, kind="stable")
    hits = actual[order].astype(np.float64)
    last = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    return np.cumsum(hits)[last], np.cumsum(1 - hits)[last], int(hits.sum()), int(len(hits) - hits.sum())


_LINES: Final = ("-", "--", "-.", ":")


def _draw_curves(
    path: Path, actual: NDArray[Any], predicted: NDArray[Any], classes: Sequence[str],
    curve: Callable[[NDArray[Any], NDArray[Any]], tuple[NDArray[Any], NDArray[Any]]], labels: tuple[str, str, str],
) -> Path:  # fmt: skip
    figure, axes = _axes()
    for position, (index, label) in enumerate(_curves(classes)):
        x, y = curve(actual == index, predicted[:, index])
        axes.plot(x, y, color=COLOURS[position % len(COLOURS)], linestyle=_LINES[position % len(_LINES)], label=label)
    axes.set(xlabel=labels[0], ylabel=labels[1], xlim=(-0.01, 1.01), ylim=(-0.01, 1.03))
    axes.set_title(labels[2])
    if labels[2] != "Precision and recall":
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=(0, (1, 2)))
    axes.legend(frameon=False, title="class", loc="lower right" if labels[2] != "Precision and recall" else "lower left")
    return _save(figure, path)


def roc(path: Path, actual: NDArray[Any], predicted: NDArray[Any], classes: Sequence[str]) -> Path:
    """Receiver operating characteristic, one line per class (of two, the positive one)."""

    def curve(is_class: NDArray[Any], score: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        true, false, positives, negatives = _points(is_class, score)
        return np.insert(false / max(negatives, 1), 0, 0), np.insert(true / max(positives, 1), 0, 0)

    return _draw_curves(path, actual, predicted, classes, curve, ("false positive rate", "true positive rate", "ROC"))


def precision_recall(path: Path, actual: NDArray[Any], predicted: NDArray[Any], classes: Sequence[str]) -> Path:
    """Precision against recall."""

    def curve(is_class: NDArray[Any], score: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        true, false, positives, _ = _points(is_class, score)
        return true / max(positives, 1), true / np.maximum(true + false, 1)

    return _draw_curves(path, actual, predicted, classes, curve, ("recall", "precision", "Precision and recall"))


def calibration(path: Path, actual: NDArray[Any], predicted: NDArray[Any], classes: Sequence[str]) -> Path:
    """Predicted probability against how often the class came: the diagonal is honest."""

    def curve(is_class: NDArray[Any], score: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        edges = np.unique(np.quantile(score, np.linspace(0, 1, 11)))
        bins = np.clip(np.searchsorted(edges, score, side="right") - 1, 0, max(len(edges) - 2, 0))
        used = np.unique(bins)
        return (
            np.array([score[bins == b].mean() for b in used]),
            np.array([is_class[bins == b].mean() for b in used]),
        )

    labels = ("predicted probability (mean of a tenth of the rows)", "share of rows of the class", "Calibration")
    return _draw_curves(path, actual, predicted, classes, curve, labels)
