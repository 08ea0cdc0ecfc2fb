"""Detections of a video become detections of tubes, every frame once; a detector of actions is followed."""

import numpy as np
import pytest

from centernet_tf.detector.detector import Detector
from centernet_tf.detector.follow import follow, with_settings
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.network import build_network
from centernet_tf.properties.tracks.tubes import TubeBook
from centernet_tf.results import Detections
from centernet_tf.tasks.action import link, tubes

pytestmark = pytest.mark.usefixtures("eagerly")

RULES = link.Rules(frames=3, min_length=4)


def windows(frames, lives):
    """What is found around each frame: of each life (first, last, class) a tubelet that moves a pixel each frame."""
    for frame in range(1, frames + 1):
        # Before its first and beyond its last frame a window shows the object where it was and will be.
        seen = [(kind, frame) for first, last, kind in lives if first <= frame <= last]
        centers = np.array([[[20 * kind + at + step, 10] for step in (-1, 0, 1)] for kind, at in seen], float)
        centers = centers.reshape(-1, 3, 2)
        tubelets = np.concatenate([centers - 8, centers + 8], axis=-1).astype(np.float32)
        scores = np.linspace(0.9, 0.6, len(seen))
        classes = [kind for kind, _ in seen]
        yield Detections(tubelets[:, 1], scores, classes, ("a", "b"), (96, 64), {"tubelets": tubelets})


@pytest.mark.parametrize("frames", [0, 1, 2, 3, 9])
def test_every_frame_is_told_once(frames):
    linked, told = tubes.start(RULES), []
    for found in windows(frames, [(1, 9, 0), (2, 6, 1)]):
        now, linked = tubes.step(found, linked, RULES)
        told += now
    told += tubes.finish(linked, RULES)
    assert len(told) == frames and all(one.image_size == (96, 64) for one in told)
    book = TubeBook()
    for number, one in enumerate(told, start=1):
        book.add(number, one.rows)
        assert (np.diff(one.scores) <= 0).all()
    made = book.tubes()
    assert len(made) == {9: 2}.get(frames, 0)
    if made:
        long, short = sorted(made, key=lambda tube: -len(tube.frames))
        assert (long.label, short.label) == (0, 1) and long.frames.tolist() == list(range(1, 10))
        np.testing.assert_allclose(long.boxes[4], [-8 + 5, 2, 8 + 5, 18], atol=1e-4)


@pytest.mark.slow
def test_a_detector_of_actions_follows():
    card = ModelCard(
        tasks={"action": {"frames": 3, "min_length": 3, "link_overlap": 0.0}},
        backbone="tiny",
        classes=("a", "b"),
        max_objects=6,
        input=InputCard(height=32, width=48, stride=4),
        head_channels=8,
    )
    tasks = card.task_set()
    detector = Detector(build_network("tiny", tasks.heads, tasks.inputs, 8), card)
    video = list(np.random.default_rng(0).integers(0, 256, (6, 20, 40, 3)).astype(np.uint8))
    told = list(follow(detector, video, 0.0, 4))
    assert len(told) == 6 and all(len(one) for one in told)
    assert {name for one in told for name in one.fields} == {"track_ids", "tube_scores"}
    stricter = with_settings(detector, min_length=7)
    assert not any(len(one) for one in follow(stricter, video, 0.0))
