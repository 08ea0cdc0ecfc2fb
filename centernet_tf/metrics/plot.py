"""Precision over recall of boxes as a figure."""

import io
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from centernet_tf.errors import DataError
from centernet_tf.host.files import write_bytes
from centernet_tf.metrics.coco import CocoScores
from centernet_tf.metrics.tables import percent

# More classes than this are drawn in grey with the extremes named, for nobody can tell twenty colours apart.
NAMED_CURVES = 10


def plot(coco: CocoScores, iou: float = 0.5) -> Figure:
    """Precision over recall of each class, and their mean.

    Args:
        coco: COCO's scores.
        iou: That makes a hit, one of `coco.ious`.

    Returns:
        A figure that belongs to no window and no global state.

    Raises:
        DataError: The IoU is not among those evaluated.
    """
    near = np.flatnonzero(np.isclose(coco.ious, iou))
    if not near.size:
        known = ", ".join(f"{value:.2f}" for value in coco.ious)
        raise DataError(f"No precision at IoU {iou}. Evaluated: {known}.")
    curves = coco.precision[near[0]]  # [101, C]
    known = np.flatnonzero(~np.isnan(curves).any(axis=0))
    averages = curves.mean(axis=0)
    figure = Figure(figsize=(8.5, 5), layout="constrained")
    axes = figure.add_subplot()
    ranked = known[np.argsort(-averages[known], kind="stable")]
    few = len(ranked) <= NAMED_CURVES
    named = ranked if few else np.concatenate([ranked[: NAMED_CURVES // 2], ranked[-NAMED_CURVES // 2 :]])
    for index in [] if few else ranked[NAMED_CURVES // 2 : -NAMED_CURVES // 2]:
        axes.plot(coco.recall, curves[:, index], color="0.82", linewidth=0.8)
    for index, color in zip(named, matplotlib.color_sequences["tab10"]):
        label = f"{percent(averages[index]):>5}  {coco.names[index]}"
        axes.plot(coco.recall, curves[:, index], color=color, linewidth=1.5, label=label)
    if len(known):
        mean = curves[:, known].mean(axis=1)
        label = f"{percent(float(mean.mean())):>5}  mean of {len(known)}"
        axes.plot(coco.recall, mean, color="black", linewidth=2.5, label=label)
        title = f"AP{100 * iou:.0f}" + ("" if few else ": best and worst five")
        figure.legend(loc="outside right upper", title=title, frameon=False, prop={"family": "monospace", "size": 9})
    else:
        axes.text(0.5, 0.5, "no annotated objects", ha="center", va="center")
    axes.set(xlabel="recall", ylabel="precision", title=f"Precision and recall at IoU {iou:.2f}")
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    return figure


def save_plot(path: str | Path, coco: CocoScores, iou: float = 0.5) -> None:
    """Writes the figure of `plot` as a PNG file, whole or not at all; folders on the way are made."""
    path = Path(path)
    buffer = io.BytesIO()
    plot(coco, iou).savefig(buffer, format="png", dpi=120)
    write_bytes(path, buffer.getvalue())
