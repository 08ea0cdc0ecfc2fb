"""Scores of 3D boxes for people: a table, and the same as JSON."""

import math
from typing import Any

from rich.table import Table

from centernet_tf.metrics.kitti import MEASURES, SolidScores


def solid_table(scores: SolidScores) -> Table:
    """AP in percent by class, measure and difficulty, over 40 recalls and over 11."""
    counted = ", ".join(f"{name} {count}" for name, count in zip(scores.difficulties, scores.truth.sum(axis=0)))
    table = Table(title=f"3D boxes, KITTI's way; objects that count: {counted}")
    table.add_column("class")
    table.add_column("score")
    table.add_column("overlap", justify="right")
    for points in (40, 11):
        for name in scores.difficulties:
            table.add_column(f"R{points} {name}", justify="right")
    tables = scores.ap(40), scores.ap(11)
    for label, name in enumerate(scores.names):
        for row, measure in enumerate(MEASURES):
            values = [value for ap in tables for value in ap[row, label]]
            overlap = f"{scores.overlaps[label, max(row - 1, 0)]:g}"
            table.add_row(name if not row else "", measure, overlap, *map(_percent, values))
        table.add_section()
    return table


def solid_report(scores: SolidScores) -> dict[str, Any]:
    """The same numbers ready for JSON, from 0 to 1; None where a class has no truth.

    Returns:
        "main" and "classes" [{name, objects {difficulty: count}, overlaps {measure: overlap}, "R40" and "R11"
        {measure: {difficulty: AP}}}].
    """
    classes = []
    for label, name in enumerate(scores.names):
        objects = dict(zip(scores.difficulties, map(int, scores.truth[label])))
        overlaps = {measure: float(scores.overlaps[label, max(row - 1, 0)]) for row, measure in enumerate(MEASURES)}
        row = {"name": name, "objects": objects, "overlaps": overlaps}
        for points in (40, 11):
            ap = scores.ap(points)[:, label]
            row[f"R{points}"] = {
                measure: dict(zip(scores.difficulties, map(_number, values))) for measure, values in zip(MEASURES, ap)
            }
        classes.append(row)
    return {"main": _number(scores.main), "classes": classes}


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.1f}"


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
