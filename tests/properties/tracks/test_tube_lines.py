"""Tubes as lines of JSON are those of `TubeBook`, each told with the frame after its last one."""

import numpy as np
import pytest

from centernet_tf.properties.tracks.tube_lines import TubeLines
from centernet_tf.properties.tracks.tubes import TubeBook

NAMES = ("walk", "turn")


def rows_of(frame, who):
    """Rows of one frame: who is there, and the class of each."""
    boxes = np.array([[10 * one, frame, 10 * one + 5.123456, 2 * frame + 4] for one, _ in who], np.float32)
    scores = np.array([0.5 + 0.01 * one for one, _ in who], np.float32)
    ids, classes = (np.array([one[part] for one in who], np.int64) for part in range(2))
    told = {"boxes": boxes.reshape(-1, 4), "scores": scores, "classes": classes, "track_ids": ids}
    return {**told, "tube_scores": scores + np.float32(0.001 * frame)}


def expected(video):
    book = TubeBook()
    for frame, who in video.items():
        book.add(frame, rows_of(frame, who))
    return book.tubes(0.005)


VIDEOS = (
    {},
    {0: [], 1: []},
    {0: [(1, 0)]},
    {0: [(1, 0), (2, 1)], 1: [(2, 1)], 2: [(2, 0), (3, 0)], 3: [(2, 0)]},  # ends, changes, begins
    {0: [(1, 0)], 1: [], 2: [(1, 0)], 5: [(1, 0)], 6: [(1, 0)]},  # gaps
)


@pytest.mark.parametrize("video", VIDEOS)
def test_lines_equal_the_gathered_tubes(video):
    lines, made = TubeLines(NAMES), []
    for frame, who in video.items():
        made += (over := lines.add(frame, rows_of(frame, who)))
        assert all(line["frames"][-1] < frame for line in over)
        assert len(lines._open) == len(who)  # nobody else is held
    made += lines.finish()
    assert lines.finish() == []
    made.sort(key=lambda line: (line["track_id"], line["frames"][0]))
    for line, tube in zip(made, expected(video), strict=True):
        assert (line["label"], line["track_id"]) == (NAMES[tube.label], tube.track_id)
        assert line["frames"] == tube.frames.tolist() and line["score"] == pytest.approx(tube.score)
        left_top, sides = tube.boxes[:, :2], tube.boxes[:, 2:] - tube.boxes[:, :2]
        np.testing.assert_allclose(line["boxes"], np.concatenate([left_top, sides], axis=1), rtol=1e-6)


def test_numbers_are_rounded_and_weak_tubes_left_out():
    rows = rows_of(3, [(1, 0), (2, 1)])
    rows["tube_scores"] = np.array([0.123456, 0.004], np.float32)
    lines = TubeLines(NAMES, digits=4)
    assert lines.add(3, rows) == []
    (line,) = lines.finish()
    assert line == {
        "label": "walk", "score": 0.1235, "track_id": 1, "frames": [3], "boxes": [[10.0, 3.0, 5.1235, 7.0]]
    }  # fmt: skip
