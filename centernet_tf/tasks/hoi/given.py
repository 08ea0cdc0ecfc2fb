"""Interactions of objects that another detector found, as IP-Net was published: its network knows verbs alone."""

import dataclasses
from typing import Any

import numpy as np
from keras import ops

from centernet_tf.errors import UsageError
from centernet_tf.points.centers import STRIDE, Centers
from centernet_tf.results import Detections, Pairs
from centernet_tf.tasks.hoi import Hoi, vector


def pair_up(detector: Any, image: np.ndarray, found: Detections) -> Detections:
    """What objects of an image do to each other.

    Args:
        detector: A `detector.detector.Detector` of a model with task "hoi" and head vector.
        image: [H, W, 3] uint8 RGB.
        found: Its objects, whoever found them.

    Returns:
        The same objects with their pairs.

    Raises:
        UsageError: The model has no interaction points with vectors, or `hoi.subject` or `hoi.allowed` names a class
            that the objects do not have.
    """
    settings = detector.card.settings.get("hoi")
    if not isinstance(settings, Hoi) or settings.head != "vector":
        raise UsageError("pair_up needs a model with task 'hoi' and head vector, for others find the objects too.")
    rules = settings.rules(Centers(len(found.names), class_names=found.names))
    shown, fit = detector.graph.show({"images": image[None], "sizes": np.int32([image.shape[:2]])})
    points = vector.decode(detector.graph.answer(shown), rules.points)
    corners = ops.reshape(points["verb_boxes"], (1, -1, 2)) * STRIDE
    points["verb_boxes"] = ops.reshape((corners - fit[:, None, 2:]) / fit[:, None, :2], (1, -1, 4))
    if not len(found):
        return _with_pairs(found, settings, Pairs([], [], []))
    objects = {
        "boxes": ops.convert_to_tensor(found.boxes[None]),
        "scores": ops.convert_to_tensor(found.scores[None]),
        "classes": ops.convert_to_tensor(found.classes[None].astype(np.int32)),
    }
    made = vector.place({**objects, **points}, rules, settings.limits)
    pairs, verbs, scores = (ops.convert_to_numpy(made[name])[0] for name in ("pairs", "verbs", "pair_scores"))
    sure = scores > 0
    return _with_pairs(found, settings, Pairs(pairs[sure], verbs[sure], scores[sure]))


def _with_pairs(found: Detections, settings: Hoi, pairs: Pairs) -> Detections:
    known = [one for one in found.properties if one.name != settings.property.name]
    return dataclasses.replace(found, pairs=pairs, properties=(*known, settings.property))
