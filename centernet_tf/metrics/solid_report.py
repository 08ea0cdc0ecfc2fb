"""Scores of 3D boxes for people: tables, and the same as JSON."""

import math
from typing import Any

from rich.table import Table

from centernet_tf.metrics.distances import DistanceScores
from centernet_tf.metrics.kitti import MEASURES, SolidScores


def solid_table(scores: SolidScores) -> Table:
    """AP in percent by class, measure and difficulty, over 40 recalls and over 11."""
    counted = ", ".join(f"{name} {count}" for name, count in zip(scores.difficulties, scores.truth.sum(axis=0)))
    table = Table(title=f"3D boxes, KITTI's way; objects that count: {counted}")
    for name in ("class", "score", "overlap", "recalls", *scores.difficulties):
        table.add_column(name, justify="left" if name in ("class", "score") else "right")
    tables = {points: scores.ap(points) for points in (40, 11)}
    for label, name in enumerate(scores.names):
        for row, measure in enumerate(MEASURES):
            overlap = f"{scores.overlaps[label, max(row - 1, 0)]:g}"
            for points, ap in tables.items():
                start = (name if not row else "", measure, overlap) if points == 40 else ("", "", "")
                table.add_row(*start, str(points), *map(_percent, ap[row, label]))
        table.add_section()
    return table


def distance_table(scores: DistanceScores) -> Table:
    """Errors of depth by distance."""
    table = Table(title="Depth of found objects, medians")
    for name in ("metres", "objects", "found", "error, m", "error, %", "bias, m"):
        table.add_column(name, justify="right")
    for index, (low, high) in enumerate(scores.ranges):
        figures = scores.error[index], 100 * scores.relative[index], scores.bias[index]
        told = (
            "-" if math.isnan(figure) else f"{round(figure, digits) + 0.0:.{digits}f}"  # no -0.00
            for figure, digits in zip(figures, (2, 1, 2))
        )
        table.add_row(f"{low:g} to {high:g}", str(scores.objects[index]), str(scores.found[index]), *told)
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
