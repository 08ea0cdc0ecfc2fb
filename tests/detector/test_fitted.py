"""Frames that a network sees more than once: fitted once each, with the same numbers as fitted anew every time."""

import functools
import gc
import weakref

import keras
import numpy as np
import pytest

from centernet_tf.detector.detector import Detector
from centernet_tf.detector.follow import follow
from centernet_tf.errors import DataError
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.network import build_network

pytestmark = pytest.mark.usefixtures("eagerly")

SIZE, OTHER = (70, 90), (48, 64)  # of frames; the input is 64 x 96

EXACT = keras.backend.backend() == "tensorflow"


@functools.cache
def detector_of(prior=True, mode="fixed", **options):
    """Around a network that knows nothing, whose every peak is an object."""
    keras.utils.set_random_seed(3)
    card = ModelCard(
        tasks={"track": {"threshold": 0.01, "prior": prior}},
        backbone="tiny",
        classes=("person",),
        max_objects=5,
        input=InputCard(height=64, width=96, stride=32, mode=mode),
        head_channels=8,
    )
    tasks = card.task_set()
    return Detector(build_network("tiny", tasks.heads, tasks.inputs, 8), card).with_options(**options)


def video(frames, size=SIZE, seed=0):
    random = np.random.default_rng(seed)
    return [random.integers(0, 256, (*size, 3)).astype(np.uint8) for _ in range(frames)]


def fitted_anew(detector, frames, look=None):
    """`follow`, frame by frame, with the pixels of the frame before."""
    association, before = detector.tasks.associate, None
    memory = association.start()
    for frame in frames:
        given = {"previous": frame if before is None else before}
        if association.recall is not None:
            given["rows"] = association.recall(memory)
        (found,) = detector.stream([(frame, given)], 0.0, 1, look)
        told, memory = association.step(found, memory)
        yield from told
        before = frame


def assert_same(found, expected):
    assert len(found) == len(expected) and sum(map(len, expected))
    for one, other in zip(found, expected):
        assert one.rows.keys() == other.rows.keys()
        for name, values in other.rows.items():
            if EXACT:
                np.testing.assert_array_equal(one.rows[name], values, name)
            else:
                # XLA joins the fit with what comes behind it, and then rounds some products and sums at once.
                np.testing.assert_allclose(one.rows[name], values, rtol=1e-4, atol=1e-4, err_msg=name)


@pytest.mark.parametrize(
    ("made", "size"),
    [
        ({}, SIZE),
        ({"mode": "keep"}, SIZE),
        pytest.param({"mode": "keep"}, OTHER, marks=pytest.mark.long),
        pytest.param({"scales": (0.5, 1.0)}, SIZE, marks=pytest.mark.long),
    ],
    ids=str,
)
def test_as_if_each_frame_was_fitted_anew(made, size):
    detector, frames = detector_of(**made), video(3, size)
    expected = list(fitted_anew(detector, frames))
    assert_same(list(follow(detector, iter(frames), 0.0)), expected)
    # The frame before counts, or all of this would say nothing.
    assert not np.array_equal(expected[-1].scores, detector(frames[-1], threshold=0.0).scores)


def test_a_video_whose_size_changes_in_the_middle_and_another_one():
    detector = detector_of()
    tracker, (first, second), others = detector.tracker(), video(2), video(2, OTHER, 1)
    tracker.step(first)
    with pytest.raises(DataError, match="frame 1"):
        tracker.step(others[0])
    assert_same([tracker.step(second)], list(fitted_anew(detector, [first, second]))[1:])
    tracker.reset()
    assert_same([tracker.step(frame) for frame in others], list(fitted_anew(detector, others)))


def test_several_frames_at_once():
    detector, frames = detector_of(prior=False, flip=True), video(4)
    one_by_one = list(follow(detector, frames, 0.0, batch_size=1))
    assert_same(one_by_one, list(fitted_anew(detector, frames)))
    together = list(follow(detector, frames, 0.0, batch_size=3))
    # Convolutions of a batch may sum in another order.
    for one, other in zip(together, one_by_one, strict=True):
        np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-3)
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)


def test_trackers_of_one_detector_do_not_mix():
    detector = detector_of()
    videos = video(3), video(3, seed=1)
    trackers = [detector.tracker() for _ in videos]
    found = zip(*([tracker.step(frame) for tracker, frame in zip(trackers, both)] for both in zip(*videos)))
    for one, frames in zip(found, videos):
        assert_same(list(one), list(fitted_anew(detector, frames)))


def test_a_frame_whose_memory_is_used_again():
    detector, frames, place = detector_of(), video(3), np.zeros((*SIZE, 3), np.uint8)
    tracker, found = detector.tracker(), []
    for frame in frames:
        place[:] = frame
        found.append(tracker.step(place))
    assert_same(found, list(fitted_anew(detector, frames)))


def test_each_frame_is_fitted_once_and_at_most_two_are_held(monkeypatch):
    detector, held, given = detector_of(), [], []
    fit, run = detector.fit_frame, detector.graph.predict_on_batch

    class Noted(dict):
        """What can be watched."""

    def noted(frame):
        fitted = Noted(fit(frame))
        held.append(weakref.ref(fitted))
        return fitted

    monkeypatch.setattr(detector, "fit_frame", noted)
    monkeypatch.setattr(detector.graph, "predict_on_batch", lambda inputs: given.append(set(inputs)) or run(inputs))
    found = 0
    for number, told in enumerate(follow(detector, iter(video(6)), 0.0)):
        found += len(told)
        gc.collect()
        assert len(held) == number + 1
        assert sum(one() is not None for one in held) <= 2
    assert found
    # No other frames go in with what was fitted.
    assert given == [{"fitted", "images", "rows", "sizes"}] * 6


def test_what_the_network_saw_is_told_as_before():
    detector, frames = detector_of(), video(3)
    seen, expected = [], []
    told = list(follow(detector, frames, 0.0, look=lambda *both: seen.append(both)))
    assert_same(told, list(fitted_anew(detector, frames, lambda *both: expected.append(both))))
    assert len(seen) == len(expected) == 3
    for one, other in zip(seen, expected):
        # Pixels whose values lie between two bytes may be rounded to the other one, see `assert_same`.
        np.testing.assert_allclose(one[0].astype(int), other[0], atol=0 if EXACT else 1)
        np.testing.assert_allclose(one[1], other[1], atol=1e-6)


def test_single_images_are_fitted_with_the_network_as_before(spot_network, spot_card):
    detector = Detector(spot_network, spot_card)
    detector(video(1)[0])
    assert "_fitting" not in vars(detector)
