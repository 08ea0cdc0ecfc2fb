"""Neutral objects for metrics that do not know them."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def as_crowd(truth: Mapping[str, Any], num_classes: int) -> dict[str, np.ndarray]:
    """Makes crowds of neutral objects, and objects that VOC calls difficult: detections on them do not count.

    Args:
        truth: Arrays [N, ...]: "classes", -1 for neutral objects of no one class, "neutral", "crowd", "difficult", and
            any others.
        num_classes: Objects of class -1 are repeated for each of these.

    Returns:
        The same arrays without "neutral", with as many rows as it takes; those of classes come first.
    """
    columns = {name: np.asarray(values) for name, values in truth.items()}
    neutral = columns.pop("neutral").astype(bool)
    everyones = np.flatnonzero(neutral & (columns["classes"] < 0))
    rows = np.concatenate([np.flatnonzero(columns["classes"] >= 0), np.repeat(everyones, num_classes)])
    result = {name: values[rows] for name, values in columns.items()}
    if len(everyones):
        result["classes"][-len(everyones) * num_classes :] = np.tile(np.arange(num_classes), len(everyones))
    for name in ("crowd", "difficult"):
        result[name] = result[name] | neutral[rows]
    return result
