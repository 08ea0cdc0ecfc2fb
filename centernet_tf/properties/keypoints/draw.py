"""Skeletons on images: limbs in the colour of their side, keypoints the fainter the less sure they are."""

import cv2
import numpy as np

from centernet_tf.media.draw import line_thickness
from centernet_tf.properties.keypoints.skeleton import Skeleton

# Of keypoints and limbs in no pair, of the first of each pair (the left one, as people write them), of the second.
COLORS = np.array([[255, 235, 80], [40, 220, 120], [255, 110, 40]], np.uint8)
SURE = 0.4  # Scores from here on are drawn in full; heatmaps seldom give hidden keypoints more.
FAINTEST = 0.3


def draw_keypoints(
    image: np.ndarray, keypoints: np.ndarray, scores: np.ndarray | None = None, skeleton: Skeleton | None = None
) -> np.ndarray:
    """Draws skeletons; the last one lies on top.

    Args:
        image: [H, W, 3] uint8, RGB.
        keypoints: [N, J, 2] x, y in pixels of `image`; what lies outside is cut.
        scores: [N, J] confidence of each keypoint; those of 0 are left out, with their limbs. None draws all in full.
        skeleton: Its limbs connect the keypoints, and its pairs have colours; None draws points of one colour.

    Returns:
        [H, W, 3] uint8, RGB, a new array.

    Raises:
        ValueError: The shapes disagree, or a keypoint is not a number.
    """
    image, keypoints = np.array(image), np.asarray(keypoints, np.float64)
    count = len(skeleton.keypoints) if skeleton else keypoints.shape[1]
    scores = np.ones(keypoints.shape[:2]) if scores is None else np.asarray(scores, np.float64)
    if keypoints.shape[1:] != (count, 2) or scores.shape != keypoints.shape[:2]:
        raise ValueError(
            f"draw_keypoints: keypoints {keypoints.shape} and scores {scores.shape} for {count} keypoints each."
        )
    if not np.isfinite(keypoints).all():
        raise ValueError(
            "draw_keypoints: a keypoint is NaN or infinite. Give keypoints without a place the score 0 and 0, 0."
        )
    far = 4 * max(image.shape)
    keypoints = np.rint(keypoints.clip(-far, far)).astype(int)
    width = line_thickness(image)
    sides = _sides(skeleton, count)
    for points, sure in zip(keypoints, np.where(scores > 0, FAINTEST + (1 - FAINTEST) * (scores / SURE).clip(0, 1), 0)):
        for one, other in skeleton.limbs if skeleton else ():
            side = sides[one] if sides[one] == sides[other] else 0
            _blend(image, points[[one, other]], min(sure[one], sure[other]), width, COLORS[side].tolist())
        for point, strength, side in zip(points, sure, sides):
            _blend(image, point[None], strength, width, COLORS[side].tolist())
    return image


def _sides(skeleton: Skeleton | None, count: int) -> list[int]:
    sides = [0] * count
    for first, second in skeleton.flip_pairs if skeleton else ():
        sides[first], sides[second] = 1, 2
    return sides


def _blend(image: np.ndarray, points: np.ndarray, strength: float, width: int, color: list[int]) -> None:
    """Draws a point, or a line between two, into `image` itself, mixed with what is there."""
    margin = 2 * width + 2
    low = (points.min(axis=0) - margin).clip(0)
    high = points.max(axis=0) + margin
    patch = image[low[1] : max(high[1], 0), low[0] : max(high[0], 0)]
    if not strength or not patch.size:
        return
    drawn = patch.copy()
    places = [tuple(map(int, point - low)) for point in points]
    if len(places) == 2:
        cv2.line(drawn, *places, color, width, cv2.LINE_AA)
    else:
        cv2.circle(drawn, places[0], width + 2, (20, 20, 20), cv2.FILLED, cv2.LINE_AA)
        cv2.circle(drawn, places[0], width + 1, color, cv2.FILLED, cv2.LINE_AA)
    patch[:] = np.rint(patch * (1 - strength) + drawn * strength)
