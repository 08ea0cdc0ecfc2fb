"""Arrays of one image as detections: what stays above a threshold, and pairs that follow their objects."""

import numpy as np
import pytest

from centernet_tf.detector.found import as_detections

FOUND = {
    "boxes": np.arange(12, dtype=np.float32).reshape(3, 4),
    "scores": np.float32([0.9, 0.2, 0.5]),
    "classes": np.array([1, 0, 1]),
    "hues": np.float32([1, np.inf, 3]),
}


@pytest.mark.parametrize(("threshold", "kept"), [(0.3, [0, 2]), (0.5, [0]), (0.9, []), (1, [])])
def test_scores_up_to_the_threshold_are_left_out(threshold, kept):
    made = as_detections(FOUND, ("a", "b"), (20, 10), extras={"lens": [1, 2]}, threshold=threshold)
    assert made.boxes.tolist() == FOUND["boxes"][kept].tolist()
    assert made.fields["hues"].tolist() == FOUND["hues"][kept].tolist()
    assert (made.names, made.image_size, made.extras["lens"].tolist(), made.pairs) == (
        ("a", "b"),
        (20, 10),
        [1, 2],
        None,
    )


def test_all_are_kept_without_a_threshold():
    found = {**FOUND, "hues": np.zeros(3)}
    assert len(as_detections(found, ("a", "b"), (20, 10))) == 3


@pytest.mark.parametrize(
    ("threshold", "rows", "scores"),
    [(None, [[0, 2], [2, 0], [0, 1]], [0.9, 0.4, 0.8]), (0.3, [[0, 1], [1, 0]], [0.9, 0.4]), (0.45, [[0, 1]], [0.9])],
)
def test_pairs_follow_their_objects(threshold, rows, scores):
    pairs = {
        "pairs": np.array([[0, 2], [2, 0], [0, 1]]),
        "verbs": np.float32([1, 0, 2]),
        "pair_scores": np.float32([0.9, 0.4, 0.8]),
    }
    made = as_detections({**FOUND, **pairs, "hues": np.zeros(3)}, ("a", "b"), (20, 10), threshold=threshold)
    assert set(made.fields) == {"hues"}
    assert made.pairs.rows.tolist() == rows
    np.testing.assert_allclose(made.pairs.scores, scores)
