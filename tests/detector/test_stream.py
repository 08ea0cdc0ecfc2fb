"""A video with each frame through the trunk once: the same as whole clips, and no frame passes it twice."""

import dataclasses

import numpy as np
import pytest
from keras import ops

from centernet_tf.detector import stream
from centernet_tf.detector.detector import Detector
from centernet_tf.detector.follow import follow
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.network import build_network
from centernet_tf.model.split import FEATURES, split
from centernet_tf.points.task import Association

pytestmark = pytest.mark.usefixtures("eagerly")


def detector_of(frames, flow=0, width=8, reduce=None, **options):
    """Around a network of noise, of so many pictures of flow if any; nothing is held back of what it finds."""
    whole = InputCard(height=32, width=48, stride=4)
    names = ("sit", "walk")
    task = {"action": {"frames": frames, "flow": flow, "reduce": reduce}}
    card = ModelCard(tasks=task, backbone="tiny", classes=names, max_objects=6, input=whole, head_channels=width)
    tasks = card.task_set()
    network = build_network("tiny", tasks.heads, tasks.inputs, width)
    random = np.random.default_rng(frames)
    for weight in network.trainable_weights:
        weight.assign(random.normal(0, 0.3, weight.shape))
    detector = Detector(network, card).with_options(**options)
    telling = Association(lambda: None, lambda found, memory: ([found], memory), lambda memory: [])
    (own,) = detector.tasks.tasks
    detector.tasks = dataclasses.replace(detector.tasks, tasks=(dataclasses.replace(own, associate=telling),))
    return detector


def video_of(count, seed=0):
    return list(np.random.default_rng(seed).integers(0, 256, (count, 20, 40, 3)).astype(np.uint8))


def found_in(detector, video, batch_size=3):
    kept = []
    list(follow(detector, video, 0.0, batch_size, keep=kept.append))
    return kept


def check_alike(detector, video, monkeypatch, batch_size=3):
    once = found_in(detector, video, batch_size)
    with monkeypatch.context() as patch:
        patch.setattr("centernet_tf.detector.follow.open_stream", lambda *given: None)
        whole = found_in(detector, video)
    assert len(once) == len(whole) == len(video)
    for one, other in zip(once, whole):
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
        np.testing.assert_array_equal(one.classes, other.classes)
        np.testing.assert_allclose(one.fields["tubelets"], other.fields["tubelets"], atol=1e-2)


@pytest.mark.parametrize(
    ("frames", "count", "options"),
    [
        (3, 0, {}),
        (3, 1, {}),
        (4, 9, {}),
        (3, 5, {"flip": True}),
        pytest.param(3, 4, {"width": 0}, marks=pytest.mark.long),
        (3, 4, {"width": 128}),  # by fewer multiplications
        (4, 5, {"reduce": 3}),
        pytest.param(3, 4, {"reduce": 3, "width": 128}, marks=pytest.mark.long),
        pytest.param(3, 4, {"reduce": 3, "flip": True}, marks=pytest.mark.long),
        pytest.param(5, 6, {"flow": 2}, marks=pytest.mark.long),
        (3, 1, {"flow": 5}),
        (3, 7, {"flow": 5}),
    ],
)
def test_equals_whole_clips(frames, count, options, monkeypatch):
    check_alike(detector_of(frames, **options), video_of(count), monkeypatch)


@pytest.mark.long
def test_equals_whole_clips_of_a_long_video(monkeypatch):
    check_alike(detector_of(7), video_of(200), monkeypatch, 8)


def test_each_frame_passes_the_trunk_once(monkeypatch):
    detector, seen = detector_of(3), []
    call = stream.on_device

    def counted(graph, inputs):
        if isinstance(graph, stream.FeatureGraph):
            seen.append(len(inputs["images"]))
        return call(graph, inputs)

    monkeypatch.setattr(stream, "on_device", counted)
    found_in(detector, video_of(8))
    assert seen == [3, 3, 2]


def test_single_images_and_other_options_are_searched_as_before():
    assert not stream.suits(detector_of(1))
    assert not stream.suits(detector_of(3, nms=True))
    assert stream.suits(detector_of(3, flip=True)) and stream.suits(detector_of(3, flow=2))


@pytest.mark.parametrize(("width", "reduce"), [(0, None), (8, None), (8, 5)])
def test_both_parts_together_are_the_network(width, reduce):
    detector = detector_of(3, reduce=reduce)
    network = build_network("tiny", detector.tasks.heads, detector.tasks.inputs, width)
    clip = np.random.default_rng(1).normal(size=(1, 3, 32, 48, 3)).astype(np.float32)
    whole = {name: ops.convert_to_numpy(maps[-1]) for name, maps in network(clip, training=False).items()}
    each, together = split(network, detector.tasks.heads, 3)
    alone = {name: ops.convert_to_numpy(one) for name, one in each(clip[0], training=False).items()}
    features = alone.pop(FEATURES)
    assert features.shape[-1] == (reduce or 16)
    joined = {name: np.concatenate(list(one), axis=-1)[None] for name, one in alone.items()}
    joined |= together(np.concatenate(list(features), axis=-1)[None], training=False)
    assert joined.keys() == whole.keys()
    for name, expected in whole.items():
        np.testing.assert_allclose(ops.convert_to_numpy(joined[name]), expected, atol=1e-5)
