"""A network of images and one of optical flow on one video: what both say of each clip, joined; and what is refused."""

import dataclasses

import numpy as np
import pytest
from keras import ops

from centernet_tf.detector import flip
from centernet_tf.detector.detector import Detector
from centernet_tf.detector.follow import follow, with_settings
from centernet_tf.detector.two_streams import TwoStreams, flow_of, sees_flow
from centernet_tf.errors import DataError, UsageError
from centernet_tf.media.flow import flow_pictures
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.network import build_network
from centernet_tf.points.task import Association

pytestmark = pytest.mark.usefixtures("eagerly")

SIZE = (32, 48)


def detector_of(frames=3, flow=0, names=("sit", "walk"), size=SIZE, task=None):
    """Around a network of noise; nothing is held back of what it finds."""
    tasks = {"action": {"frames": frames, "flow": flow}} if task is None else {task: {}}
    whole = InputCard(height=size[0], width=size[1], stride=4)
    card = ModelCard(tasks=tasks, backbone="tiny", classes=names, max_objects=6, input=whole, head_channels=8)
    made = card.task_set()
    network = build_network("tiny", made.heads, made.inputs, 8)
    random = np.random.default_rng(frames + flow)
    for weight in network.trainable_weights:
        weight.assign(random.normal(0, 0.3, weight.shape))
    return Detector(network, card)


@pytest.fixture(scope="module")
def pair():
    return detector_of(), detector_of(flow=2)


def telling_all(detector):
    telling = Association(lambda: None, lambda found, memory: ([found], memory), lambda memory: [])
    (own,) = detector.tasks.tasks
    detector.tasks = dataclasses.replace(detector.tasks, tasks=(dataclasses.replace(own, associate=telling),))
    return detector


def video_of(count, seed=0):
    return list(np.random.default_rng(seed).integers(0, 256, (count, 20, 40, 3)).astype(np.uint8))


def maps_of(detector, clip):
    """Whole maps of one clip [T, H, W, 3 S]."""
    sizes = ops.convert_to_tensor(np.array([clip.shape[1:3]], np.int32))
    middle = ops.convert_to_tensor(clip[None, len(clip) // 2, ..., :3])
    shown, fit = detector.graph.show({"images": middle, "sizes": sizes, "image": ops.convert_to_tensor(clip[None])})
    seen = shown["image"]
    if detector.options.flip:
        seen = flip.both_sides(seen, detector.tasks.inputs["image"], detector.graph.card.normalization)
    maps = {name: values[-1] for name, values in detector.network(seen, training=False).items()}
    return (flip.join_sides(maps, detector.tasks.heads) if detector.options.flip else maps), fit, sizes


def slow_twin(both, video, pictures):
    """Clip by clip, of pictures by their numbers."""
    last = len(video) - 1
    for present in range(len(video)):
        numbers = [present + offset for offset in both.tasks.inputs["image"].frames]
        clip = np.stack([video[min(max(number, 0), last)] for number in numbers])
        stacked = [[pictures[min(max(number + place, 0), last)] for place in range(2)] for number in numbers]
        (images, fit, sizes), (flow, _, _) = (
            maps_of(both, clip), maps_of(both.flow, np.stack([np.concatenate(one, axis=-1) for one in stacked]))
        )  # fmt: skip
        found = both.graph.find(both.tasks.fuse(images, flow, both.weights), fit, {})
        yield {name: ops.convert_to_numpy(one)[0] for name, one in both.graph.cut(found, sizes).items()}


@pytest.mark.parametrize(
    ("count", "options", "given"),
    [
        (0, {}, False),
        (1, {}, False),
        (5, {}, True),
        (5, {}, False),
        pytest.param(4, {"flip": True}, False, marks=pytest.mark.long),
    ],
)
def test_equals_whole_clips(pair, count, options, given):
    video, kept = video_of(count), []
    pictures = video_of(count, 1) if given else list(flow_pictures(video))
    shown = pictures if given else None
    images = telling_all(Detector(pair[0].network, pair[0].card).with_options(**options))
    # `with_options` makes another detector, so what tells all is set again.
    both = telling_all(TwoStreams(images, pair[1], {"heatmap": 0.4}, shown))
    list(follow(both, video, 0.0, 3, keep=kept.append))
    expected = list(slow_twin(both, video, pictures))
    assert len(kept) == len(expected) == count
    for one, other in zip(kept, expected):
        np.testing.assert_allclose(one.scores, other["scores"], atol=1e-5)
        np.testing.assert_array_equal(one.classes, other["classes"])
        np.testing.assert_allclose(one.fields["tubelets"], other["tubelets"], atol=1e-2)


def test_images_alone_are_the_images(pair):
    video, alone, both = video_of(4), [], []
    list(follow(telling_all(pair[0]), video, 0.0, keep=alone.append))
    weights = {"heatmap": 1.0, "movement": 1.0, "size": 1.0}
    list(follow(TwoStreams(*pair, weights), video, 0.0, keep=both.append))
    for one, other in zip(alone, both, strict=True):
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
        np.testing.assert_allclose(one.fields["tubelets"], other.fields["tubelets"], atol=1e-2)


def test_settings_and_the_input_are_those_of_both(pair):
    both = TwoStreams(*pair)
    stricter = with_settings(both, min_length=9)
    assert isinstance(stricter, TwoStreams) and stricter.card.tasks["action"]["min_length"] == 9
    larger = both.with_input((48, 64))
    assert (larger.card.input.height, larger.flow.card.input.width) == (48, 64)
    assert both.with_options(flip=True).flow.options.flip
    assert sees_flow(pair[1]) and not sees_flow(pair[0])


@pytest.mark.parametrize(
    ("first", "second", "weights", "said"),
    [
        ({"task": "detect"}, {"flow": 2}, {}, "A model of detect has no second stream"),
        ({}, {}, {}, "one sees no optical flow"),
        ({"flow": 2}, {"flow": 2}, {}, "one sees no images"),
        ({}, {"flow": 2, "names": ("sit", "run")}, {}, "differ in their classes"),
        ({}, {"flow": 2, "frames": 5}, {}, "differ in their frames seen at once: 3 and 5"),
        ({}, {"flow": 2, "size": (32, 64)}, {}, "differ in their input: 32x48 and 32x64"),
        ({}, {"flow": 2}, {"heat": 0.4}, "unknown weight 'heat'. Did you mean 'heatmap'"),
        ({}, {"flow": 2}, {"size": 2.0}, "size is 2.0; expected a weight of the images from 0 to 1"),
    ],
)
def test_what_does_not_go_together(first, second, weights, said):
    with pytest.raises(UsageError, match=said):
        TwoStreams(detector_of(**first), detector_of(**second), weights)


def test_there_is_no_motion_in_single_images(pair):
    with pytest.raises(UsageError, match="see videos only"):
        TwoStreams(*pair)(video_of(1)[0])
    with pytest.raises(UsageError, match="leave heatmaps out"):
        list(follow(TwoStreams(*pair), video_of(3), look=lambda *seen: None))


@pytest.mark.parametrize(
    ("pictures", "said"),
    [([], "fewer pictures"), (video_of(2), "fewer pictures"), ([np.zeros((9, 9, 3), np.uint8)] * 4, "9x9 pixels")],
)
def test_pictures_that_do_not_fit(pictures, said):
    with pytest.raises(DataError, match=said):
        list(flow_of(video_of(4), pictures))


def test_the_last_frame_needs_no_picture():
    video, pictures = video_of(4), video_of(3, 1)
    shown = list(flow_of(video, pictures))
    assert len(shown) == 4 and shown[3] is shown[2]
    assert list(flow_of([], [])) == []
    for one, other in zip(flow_of(video), flow_pictures(video), strict=True):
        np.testing.assert_array_equal(one, other)
