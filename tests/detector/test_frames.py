"""What `tests/contract/room` does not show: batches of images and rows of different sizes."""

import dataclasses

import numpy as np
import pytest

from centernet_tf.detector import frames
from centernet_tf.points.centers import Centers
from centernet_tf.points.task import Input
from centernet_tf.points.task_set import TaskSet
from centernet_tf.tasks.detect import Detect


@pytest.fixture
def tasks():
    """Boxes from an image, a clip of two frames and a map that is drawn."""
    task = Detect().build(Centers(2))
    inputs = {
        "image": Input(),
        "before": Input(frames=(-2, -1)),
        "prior": Input(channels=1, draw=lambda rows, size: rows),
    }
    return TaskSet((dataclasses.replace(task, inputs=inputs),), task.encode, task.decode)


def rows(count):
    return {"boxes": np.arange(4.0 * count, dtype=np.float32).reshape(count, 4), "classes": np.zeros(count, np.int32)}


def test_frames_and_rows_are_padded(tasks):
    clips = [np.full((2, *size, 3), 1 + number, np.uint8) for number, size in enumerate([(3, 5), (4, 2)])]
    seen = [{"before": clip, "rows": rows(count)} for clip, count in zip(clips, (0, 3))]
    packed = frames.pack(seen, tasks, (8, 8), limit=2)
    assert packed["before"].shape == (2, 2, 8, 8, 3)
    for number, (height, width) in enumerate([(3, 5), (4, 2)]):
        whole = packed["before"][number]
        assert (whole[:, :height, :width] == 1 + number).all() and whole.sum() == (1 + number) * 2 * height * width * 3
    # Three rows take two times two; what is no object is of no class.
    assert packed["rows"]["valid"].tolist() == [[False] * 4, [True, True, True, False]]
    assert packed["rows"]["classes"].tolist() == [[-1] * 4, [0, 0, 0, -1]]
    np.testing.assert_array_equal(packed["rows"]["boxes"][1, :3], rows(3)["boxes"])
    assert not packed["rows"]["boxes"][0].any()


def test_rows_that_nobody_gives_are_asked_for(tasks):
    image = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(ValueError, match="draws an input from rows, and none are given"):
        frames.complete({}, tasks, image)
    seen = frames.complete({"rows": rows(1)}, tasks, image + 7)
    assert (seen["before"] == 7).all() and seen["before"].shape == (2, 4, 4, 3)
