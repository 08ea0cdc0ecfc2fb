"""Ignored objects for metrics that do not know them."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def as_crowd(truth: Mapping[str, Any], num_classes: int) -> dict[str, np.ndarray]:
    """Makes crowds of ignored objects, and objects that VOC calls difficult: detections on them do not count.

    Args:
        truth: Arrays [N, ...]: "classes", -1 for ignored objects of no one class, "ignored", "crowd", "difficult", and
            any others.
        num_classes: Objects of class -1 are repeated for each of these.

    Returns:
        The same arrays without "ignored", with as many rows as it takes; those of classes come first.
    """
    columns = {name: np.asarray(values) for name, values in truth.items()}
    ignored = columns.pop("ignored").astype(bool)
    everyones = np.flatnonzero(ignored & (columns["classes"] < 0))
    rows = np.concatenate([np.flatnonzero(columns["classes"] >= 0), np.repeat(everyones, num_classes)])
    result = {name: values[rows] for name, values in columns.items()}
    if len(everyones):
        result["classes"][-len(everyones) * num_classes :] = np.tile(np.arange(num_classes), len(everyones))
    for name in ("crowd", "difficult"):
        result[name] = result[name] | ignored[rows]
    return result
