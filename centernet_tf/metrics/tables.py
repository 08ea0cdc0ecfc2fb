"""Scores of boxes for people and for JSON, and how every score is written: percents in tables, 0 to 1 in JSON."""

import math
from typing import Any

from rich.table import Table

from centernet_tf.errors import DataError
from centernet_tf.host.plain import plain
from centernet_tf.metrics.coco import CocoScores
from centernet_tf.metrics.voc import VocScores


def percent(value: float) -> str:
    """A number from 0 to 1 for a table; "-" for NaN, where there is no truth."""
    return "-" if math.isnan(value) else f"{100 * value:.1f}"


def number(value: float) -> float | None:
    """A number for JSON, which has no NaN: None stands for it."""
    return None if math.isnan(value) else float(value)


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
        table.add_row(plain(name), str(coco.truth[index]), *(percent(values[index]) for values in columns))
    table.add_section()
    means = [coco.summary["AP"], coco.summary["AP50"]] + ([voc.mean] if voc else [])
    table.add_row("mean", str(coco.truth.sum()), *map(percent, means), style="bold")
    return table


def summary_table(coco: CocoScores) -> Table:
    """COCO's means as a rich table of percents, with what each is of."""
    table = Table("score", "of", title="COCO")
    table.add_column("value", justify="right")
    for name, value in coco.summary.items():
        table.add_row(name, meaning(name), percent(value))
    return table


def report(coco: CocoScores, voc: VocScores | None = None) -> dict[str, Any]:
    """The same numbers ready for JSON, from 0 to 1; None where a class has no truth.

    Returns:
        "images", "detections", "summary" {score: value} and "classes" [{name, objects, AP, AP50}]; with `voc` also
        "VOC AP" in both.

    Raises:
        DataError: The two are of different classes.
    """
    _same_classes(coco, voc)
    summary = {name: number(value) for name, value in coco.summary.items()}
    classes = [
        {"name": name, "objects": int(count), "AP": number(ap), "AP50": number(ap50)}
        for name, count, ap, ap50 in zip(coco.names, coco.truth, coco.ap, coco.ap50)
    ]
    if voc:
        summary["VOC AP"] = number(voc.mean)
        for row, ap in zip(classes, voc.ap):
            row["VOC AP"] = number(ap)
    return {"images": coco.images, "detections": coco.detections, "summary": summary, "classes": classes}


def _same_classes(coco: CocoScores, voc: VocScores | None) -> None:
    if voc and voc.names != coco.names:
        raise DataError(f"COCO's scores have classes {coco.names}, VOC's {voc.names}. Evaluate the same ones.")


def meaning(name: str) -> str:
    """What one of COCO's means is of, for people."""
    sizes = {"s": "objects below 32x32 pixels", "m": "objects of 32x32 to 96x96", "l": "objects above 96x96 pixels"}
    if name in ("AP50", "AP75"):
        return f"IoU 0.{name[2:]}"
    if name[2:].isdigit():
        return f"recall, best {name[2:]} per image"
    return ("recall, " if name.startswith("AR") else "") + sizes.get(name[2:], "IoU 0.50 to 0.95")
