"""From the arrays of one image, whoever answered them, to `Detections`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from centernet_tf.errors import DataError
from centernet_tf.properties.property import Property
from centernet_tf.results import Detections, Pairs

OWN = ("boxes", "scores", "classes")
Threshold = float | Sequence[float] | None  # one, one for each class, or what the model says
THRESHOLD = 0.3  # where neither the caller nor the model says one
PAIRS = {"pairs": "rows", "verbs": "verbs", "pair_scores": "scores"}  # fields of pairs of objects, as `Pairs` has them


def chosen(given: Threshold, card: Any) -> float | tuple[float, ...]:
    """What objects have to score above: one threshold, or one for each class.

    Args:
        given: By the caller; None for what was fitted, or `THRESHOLD`.
        card: Of the model, with its "thresholds" and "classes".

    Raises:
        ValueError: A threshold is outside 0..1, or there are others than one or one for each class.
    """
    if given is None:
        return THRESHOLD if card.thresholds is None else card.thresholds
    values = np.asarray(given, float)
    if values.shape not in ((), (len(card.classes),)) or not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"threshold is {given}, expected a score from 0 to 1, or one for each class.")
    return tuple(values.tolist()) if values.shape else float(given)


def limits(threshold: Any, classes: np.ndarray) -> Any:
    """The threshold of each of some objects of classes [K]: [K] of thresholds [C], one as it is."""
    return np.asarray(threshold, np.float32)[classes] if np.ndim(threshold) else threshold


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
    threshold: Threshold = None,
) -> Detections:
    """What was found in one image.

    Args:
        found: {field: [K, ...]} with "boxes" in pixels, "scores" and "classes" counted from 0; those of pairs [P, ...].
        names: Of the classes.
        image_size: Width and height in pixels.
        properties: What is said of the fields, such as names of their parts.
        extras: {name: value} of the image beside its pixels.
        threshold: Objects and pairs of scores up to this are left out; None keeps all objects, and pairs with a score.
            Of thresholds [C] of the classes, each object has that of its own, and pairs have `THRESHOLD`.
    """
    fields = {name: value for name, value in found.items() if name not in (*OWN, *PAIRS)}
    boxes, scores, classes = (found[name] for name in OWN)
    pairs = None
    if set(PAIRS) <= set(found):
        parts = {part: np.asarray(found[name]) for name, part in PAIRS.items()}
        least = THRESHOLD if np.ndim(threshold) else threshold
        sure = parts["scores"] > (least or 0.0)  # Those of a score of 0 only fill up their number.
        pairs = Pairs(**{part: values[sure] for part, values in parts.items()})
    if threshold is not None and pairs is None:
        # Rows that nobody sees need not be finite: those below the number of peaks hold what lies at cell 0.
        kept = scores > limits(threshold, classes)
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
    return made if threshold is None else made[made.scores > limits(threshold, made.classes)]
