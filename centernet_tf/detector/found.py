"""From the arrays of one image, whoever answered them, to `Detections`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from centernet_tf.errors import DataError
from centernet_tf.properties.property import Property
from centernet_tf.results import Detections, Pairs

OWN = ("boxes", "scores", "classes")
PAIRS = {"pairs": "rows", "verbs": "verbs", "pair_scores": "scores"}  # fields of pairs of objects, as `Pairs` has them


def check_finite(found: Mapping[str, np.ndarray]) -> None:
    """Raises DataError where arrays hold NaN, which is above no threshold, so that it would pass for an empty image."""
    if not all(np.isfinite(values).all() for values in found.values()):
        raise DataError("The network's outputs are NaN or infinite: its training diverged. Use another model.")


def as_detections(
    found: Mapping[str, np.ndarray],
    names: Sequence[str],
    image_size: tuple[int, int],
    properties: Sequence[Property] = (),
    extras: Mapping[str, Any] | None = None,
    threshold: float | None = None,
) -> Detections:
    """What was found in one image.

    Args:
        found: {field: [K, ...]} with "boxes" in pixels, "scores" and "classes" counted from 0; those of pairs [P, ...].
        names: Of the classes.
        image_size: Width and height in pixels.
        properties: What is said of the fields, such as names of their parts.
        extras: {name: value} of the image beside its pixels.
        threshold: Objects and pairs of scores up to this are left out; None keeps all objects, and pairs with a score.
    """
    fields = {name: value for name, value in found.items() if name not in (*OWN, *PAIRS)}
    boxes, scores, classes = (found[name] for name in OWN)
    pairs = None
    if set(PAIRS) <= set(found):
        parts = {part: np.asarray(found[name]) for name, part in PAIRS.items()}
        sure = parts["scores"] > (threshold or 0.0)  # Those of a score of 0 only fill up their number.
        pairs = Pairs(**{part: values[sure] for part, values in parts.items()})
    if threshold is not None and pairs is None:
        # Rows that nobody sees need not be finite: those below the number of peaks hold what lies at cell 0.
        kept = scores > threshold
        boxes, scores, classes = boxes[kept], scores[kept], classes[kept]
        fields = {name: value[kept] for name, value in fields.items()}
        threshold = None
    made = Detections(
        boxes,
        scores,
        classes,
        tuple(names),
        tuple(image_size),
        fields,
        properties=tuple(properties),
        extras=dict(extras or {}),
        pairs=pairs,
    )
    return made if threshold is None else made[made.scores > threshold]
