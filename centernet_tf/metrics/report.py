"""Scores for people: a table per class, the means, a precision-recall picture, and the same as JSON."""

import io
import math
import uuid
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from rich.table import Table

from centernet_tf.errors import DataError
from centernet_tf.metrics.coco import CocoScores
from centernet_tf.metrics.oks import JointScores
from centernet_tf.metrics.pck import PckScores
from centernet_tf.metrics.voc import VocScores

# More classes than this are drawn in grey with the extremes named, for nobody can tell twenty colours apart.
NAMED_CURVES = 10


def class_table(coco: CocoScores, voc: VocScores | None = None) -> Table:
    """One row per class, and the means below.

    Args:
        coco: COCO's scores.
        voc: Pascal VOC's scores of the same classes, for a further column.

    Returns:
        A rich table of percents; "-" where a class has no truth.

    Raises:
        DataError: The two are of different classes.
    """
    _same_classes(coco, voc)
    table = Table(title=f"{coco.images} images, {coco.detections} detections")
    table.add_column("class")
    for name in ("objects", "AP", "AP50") + (("VOC AP",) if voc else ()):
        table.add_column(name, justify="right")
    columns = [coco.ap, coco.ap50] + ([voc.ap] if voc else [])
    for index, name in enumerate(coco.names):
        table.add_row(name, str(coco.truth[index]), *(_percent(values[index]) for values in columns))
    table.add_section()
    means = [coco.summary["AP"], coco.summary["AP50"]] + ([voc.mean] if voc else [])
    table.add_row("mean", str(coco.truth.sum()), *map(_percent, means), style="bold")
    return table


def summary_table(coco: CocoScores) -> Table:
    """COCO's means as a rich table of percents, with what each is of."""
    table = Table("score", "of", title="COCO")
    table.add_column("value", justify="right")
    for name, value in coco.summary.items():
        table.add_row(name, _meaning(name), _percent(value))
    return table


def joint_table(joints: JointScores) -> Table:
    """The means of joints as a rich table of percents, and one row for each class that has joints."""
    labelled = int(joints.truth.sum())
    table = Table("score", "of", title=f"{len(joints.joints)} joints, {labelled} labelled objects")
    table.add_column("value", justify="right")
    for name, value in joints.summary.items():
        table.add_row(f"OKS {name}", _joint_meaning(name), _percent(value))
    known = [index for index in range(len(joints.names)) if joints.truth[index]]
    for index in known if len(known) > 1 else ():
        table.add_row("OKS AP", joints.names[index], _percent(joints.ap[index]))
    return table


def pck_table(scores: PckScores) -> Table:
    """Percents of joints that are placed right, of each joint and of all."""
    table = Table(title="PCK: joints within these parts of the longer side of the box")
    table.add_column("joint")
    for name in ("labelled", *(f"{share:g}" for share in scores.shares)):
        table.add_column(name, justify="right")
    for name, count, row in zip(scores.names, scores.labelled, scores.right):
        table.add_row(name, str(count), *map(_percent, row))
    table.add_section()
    table.add_row("all", str(scores.labelled.sum()), *map(_percent, scores.all), style="bold")
    return table


def report(coco: CocoScores, voc: VocScores | None = None, joints: JointScores | None = None) -> dict[str, Any]:
    """The same numbers ready for JSON, from 0 to 1; None where a class has no truth.

    Returns:
        "images", "detections", "summary" {score: value} and "classes" [{name, objects, AP, AP50}]; with `voc` also
        "VOC AP" in both; with `joints` also "OKS AP" and its like in the summary, and "OKS AP" in the classes.

    Raises:
        DataError: The two are of different classes.
    """
    _same_classes(coco, voc)
    summary = {name: _number(value) for name, value in coco.summary.items()}
    classes = [
        {"name": name, "objects": int(count), "AP": _number(ap), "AP50": _number(ap50)}
        for name, count, ap, ap50 in zip(coco.names, coco.truth, coco.ap, coco.ap50)
    ]
    if voc:
        summary["VOC AP"] = _number(voc.mean)
        for row, ap in zip(classes, voc.ap):
            row["VOC AP"] = _number(ap)
    if joints:
        summary |= {f"OKS {name}": _number(value) for name, value in joints.summary.items()}
        for row, count, ap in zip(classes, joints.truth, joints.ap):
            row |= {"objects with joints": int(count), "OKS AP": _number(ap)}
    return {"images": coco.images, "detections": coco.detections, "summary": summary, "classes": classes}


def plot(coco: CocoScores, overlap: float = 0.5) -> Figure:
    """Precision over recall of each class, and their mean.

    Args:
        coco: COCO's scores.
        overlap: Overlap that makes a hit, one of `coco.overlaps`.

    Returns:
        A figure that belongs to no window and no global state.

    Raises:
        DataError: The overlap is not among those evaluated.
    """
    near = np.flatnonzero(np.isclose(coco.overlaps, overlap))
    if not near.size:
        known = ", ".join(f"{value:.2f}" for value in coco.overlaps)
        raise DataError(f"No precision at overlap {overlap}. Evaluated: {known}.")
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
        label = f"{_percent(averages[index]):>5}  {coco.names[index]}"
        axes.plot(coco.recall, curves[:, index], color=color, linewidth=1.5, label=label)
    if len(known):
        mean = curves[:, known].mean(axis=1)
        label = f"{_percent(float(mean.mean())):>5}  mean of {len(known)}"
        axes.plot(coco.recall, mean, color="black", linewidth=2.5, label=label)
        title = f"AP{100 * overlap:.0f}" + ("" if few else ": best and worst five")
        figure.legend(loc="outside right upper", title=title, frameon=False, prop={"family": "monospace", "size": 9})
    else:
        axes.text(0.5, 0.5, "no annotated objects", ha="center", va="center")
    axes.set(xlabel="recall", ylabel="precision", title=f"Precision and recall at overlap {overlap:.2f}")
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    return figure


def save_plot(path: str | Path, coco: CocoScores, overlap: float = 0.5) -> None:
    """Writes the picture of `plot` as a PNG file, whole or not at all; folders on the way are made."""
    path = Path(path)
    buffer = io.BytesIO()
    plot(coco, overlap).savefig(buffer, format="png", dpi=120)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}")
    try:
        temporary.write_bytes(buffer.getvalue())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _same_classes(coco: CocoScores, voc: VocScores | None) -> None:
    if voc and voc.names != coco.names:
        raise DataError(f"COCO's scores are of the classes {coco.names}, VOC's of {voc.names}. Evaluate the same ones.")


def _meaning(name: str) -> str:
    sizes = {"s": "objects below 32x32 pixels", "m": "objects of 32x32 to 96x96", "l": "objects above 96x96 pixels"}
    if name in ("AP50", "AP75"):
        return f"overlap 0.{name[2:]}"
    if name[2:].isdigit():
        return f"recall, best {name[2:]} per image"
    return ("recall, " if name.startswith("AR") else "") + sizes.get(name[2:], "overlaps 0.50 to 0.95")


def _joint_meaning(name: str) -> str:
    sizes = {"m": "objects of 32x32 to 96x96", "l": "objects above 96x96 pixels"}
    what = f"similarity 0.{name[2:]}" if name[2:].isdigit() else sizes.get(name[2:], "similarities 0.50 to 0.95")
    return ("recall, " if name.startswith("AR") else "") + what


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.1f}"


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
