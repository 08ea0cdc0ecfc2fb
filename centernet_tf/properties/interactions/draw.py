"""Interactions on images: a line from subject to object with its verbs."""

from collections.abc import Sequence

import cv2
import numpy as np

from centernet_tf.media.draw import class_colors, draw_label, line_thickness
from centernet_tf.properties.property import Rows

FAR = 1e5  # pixels; further out OpenCV counts wrong


def draw_pairs(canvas: np.ndarray, rows: Rows, verbs: Sequence[str], threshold: float) -> np.ndarray:
    """Draws a line between the middles of the boxes of each pair, and in its middle what the subject does.

    Pairs of the same two share a line, whose colour is that of the surest verb; verbs without an object stand at
    the middle of the subject.

    Args:
        canvas: [H, W, 3] uint8 RGB.
        rows: "boxes" [N, 4] in its pixels, "pairs" [P, 2], "verbs" [P] and, of found ones, "pair_scores" [P].
        verbs: Names of the verbs.
        threshold: Found pairs of a lower score are left out.

    Returns:
        A new array of the same size.
    """
    drawn, boxes = canvas.copy(), np.asarray(rows["boxes"], np.float64).reshape(-1, 4)
    middles = np.rint(np.clip((boxes[:, :2] + boxes[:, 2:]) / 2, -FAR, FAR)).astype(int)
    thickness, texts = line_thickness(drawn), []
    for (subject, partner), names, verb in _lines(rows, verbs, threshold):
        color = class_colors([verb])[0].tolist()
        start, end = middles[subject], middles[partner if partner >= 0 else subject]
        if partner >= 0:
            cv2.line(drawn, start.tolist(), end.tolist(), color, thickness, cv2.LINE_AA)
        cv2.circle(drawn, start.tolist(), 2 * thickness + 1, color, cv2.FILLED, cv2.LINE_AA)
        texts.append((names, (start + end) // 2, color))
    for names, (left, bottom), color in texts:  # above all lines
        draw_label(drawn, names, int(left), int(bottom), color)
    return drawn


def _lines(rows: Rows, verbs: Sequence[str], threshold: float) -> list[tuple[tuple[int, int], str, int]]:
    """Of each two objects their rows, the text of their verbs, and the surest verb; the surest two last."""
    pairs, numbers = np.reshape(rows["pairs"], (-1, 2)), np.asarray(rows["verbs"])
    scores = np.asarray(rows["pair_scores"], np.float64) if "pair_scores" in rows else None
    order = np.arange(len(pairs)) if scores is None else np.argsort(-scores, kind="stable")
    told: dict[tuple[int, int], list[int]] = {}
    for place in order.tolist():
        if scores is None or scores[place] >= threshold:
            told.setdefault((int(pairs[place][0]), int(pairs[place][1])), []).append(place)
    return [
        (pair, ", ".join(_text(numbers[one], verbs, scores, one) for one in places), int(numbers[places[0]]))
        for pair, places in reversed(told.items())
    ]


def _text(verb: int, verbs: Sequence[str], scores: np.ndarray | None, place: int) -> str:
    name = verbs[verb] if 0 <= verb < len(verbs) else str(verb)
    return name if scores is None else f"{name} {scores[place]:.2f}"
