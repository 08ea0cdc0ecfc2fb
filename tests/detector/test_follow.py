"""Videos frame by frame: the original's whole detector on recorded maps, and what a tracker promises."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf.detector.detector import Detector
from centernet_tf.detector.follow import follow, with_settings
from centernet_tf.errors import DataError, UsageError
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.network import build_network

pytestmark = pytest.mark.usefixtures("eagerly")

GOLDEN = Path(__file__).parents[1] / "golden" / "tracking" / "sequence_ct__mot.npz"
HEADS = {"heatmap": "hm", "offset": "reg", "size": "wh", "displacement": "tracking", "amodal_box": "ltrb_amodal"}


def detector_of(settings, size=(96, 160), objects=40, classes=("person",)):
    """Around a network that knows nothing."""
    plain = InputCard(height=size[0], width=size[1], stride=4, mean=(0, 0, 0), std=(1, 1, 1), order="rgb")
    card = ModelCard(
        tasks={"track": settings}, backbone="tiny", classes=classes, max_objects=objects, input=plain, head_channels=8
    )
    tasks = card.task_set()
    return Detector(build_network("tiny", tasks.heads, tasks.inputs, 8), card)


class Played:
    """Stands for the network: plays maps back, frame by frame, and notes what it is shown."""

    def __init__(self, maps):
        self.maps, self.shown = maps, []

    def __call__(self, shown):
        number = len(self.shown)
        self.shown.append({name: ops.convert_to_numpy(value)[0] for name, value in shown.items()})
        return {name: ops.convert_to_tensor(values[number][None]) for name, values in self.maps.items()}


def playing(detector, maps):
    detector.graph.run_eagerly = True
    detector.graph.answer = played = Played(maps)
    return played


def test_equals_the_original_on_recorded_maps():
    with np.load(GOLDEN) as file:
        arrays = dict(file)
    meta = json.loads(arrays.pop("meta").tobytes())
    settings = {
        "amodal_box": True,
        "threshold": meta["out_thresh"],
        "prior_threshold": meta["pre_thresh"],
        "birth": meta["new_thresh"],
        "max_age": meta["max_age"],
    }
    detector = detector_of(settings, tuple(meta["input_hw"]), meta["K"])
    played = playing(detector, {ours: arrays[f"raw_{theirs}"] for ours, theirs in HEADS.items()})
    tracker = detector.tracker()
    random = np.random.default_rng(0)
    for number in range(meta["frames"]):
        width, height = meta["picture_wh"]
        found = tracker.step(random.integers(0, 256, (height, width, 3)).astype(np.uint8))
        told = (arrays["out_frame"] == number) & (arrays["out_active"] > 0)
        # The original lists those who were matched first; ours come as they were found.
        order = np.argsort(found.fields["track_ids"])
        expected = np.flatnonzero(told)[np.argsort(arrays["out_tracking_id"][told])]
        assert found.fields["track_ids"][order].tolist() == arrays["out_tracking_id"][expected].tolist()
        np.testing.assert_allclose(found.boxes[order], arrays["out_bbox"][expected], atol=2e-3)
        np.testing.assert_allclose(found.fields["points"][order], arrays["out_ct"][expected], atol=2e-3)
        shown = played.shown[number]
        np.testing.assert_allclose(shown["prior"], arrays["given_prior"][number], atol=1e-4)
        before = played.shown[number - 1] if number else shown
        np.testing.assert_array_equal(shown["previous"], before["image"])


def moving_maps(frames, way=2, size=(16, 24), cells=4):
    """Maps of an object that moves on by `way` cells a frame, from column 4."""
    maps = {name: np.zeros((frames, *size, 2), np.float32) for name in ("offset", "size", "displacement")}
    maps["heatmap"] = np.full((frames, *size, 1), -9.0, np.float32)
    maps["size"] += cells
    maps["displacement"][..., 0] = -way
    for number in range(frames):
        maps["heatmap"][number, 8, 4 + way * number] = 3.0
    return maps


def black(count=1, size=(64, 96)):
    return [np.zeros((*size, 3), np.uint8) for _ in range(count)]


@pytest.fixture
def tracking():
    """A tracker of moving maps, played from the start."""
    detector = detector_of({}, (64, 96), 5)
    return detector, playing(detector, moving_maps(8))


def test_an_object_keeps_its_identity_and_is_drawn_where_it_was(tracking):
    detector, played = tracking
    tracker = detector.tracker()
    found = [tracker.step(frame) for frame in black(4)]
    assert [one.fields["track_ids"].tolist() for one in found] == [[1]] * 4
    assert [one.fields["displacements"].tolist() for one in found] == [[[-8, 0]]] * 4
    assert found[1].boxes.tolist() == [[16, 24, 32, 40]]
    # What the prior heatmap peaks at is the middle of the box of the frame before.
    peaks = [np.unravel_index(shown["prior"].argmax(), shown["prior"].shape)[:2] for shown in played.shown[1:]]
    assert [tuple(map(int, peak)) for peak in peaks] == [(32, 16), (32, 24), (32, 32)]
    assert not played.shown[0]["prior"].any()


def test_reset_begins_another_video(tracking):
    detector, played = tracking
    tracker = detector.tracker()
    tracker.step(black()[0])
    tracker.reset()
    assert tracker.step(black(size=(32, 48))[0]).fields["track_ids"].tolist() == [1]
    assert not played.shown[1]["prior"].any()


def test_follow_does_the_same(tracking):
    detector, played = tracking
    found = list(follow(detector, black(3)))
    assert [one.fields["track_ids"].tolist() for one in found] == [[1]] * 3
    played.shown.clear()
    tracker = detector.tracker()
    assert [one.boxes.tolist() for one in found] == [tracker.step(frame).boxes.tolist() for frame in black(3)]


def test_settings_of_one_video(tracking):
    detector, played = tracking
    made = with_settings(detector, birth=0.99, max_age=3)
    assert made.card.tasks["track"]["birth"] == 0.99 and made.card.tasks["track"]["threshold"] == 0.3
    playing(made, played.maps)
    assert len(made.tracker().step(black()[0])) == 0
    assert detector.card.tasks["track"]["birth"] is None


HERE, AWAY = [0, 24, 16, 40], [60, 8, 76, 24]  # where the object was before the first frame, and elsewhere


@pytest.mark.parametrize(
    ("boxes", "ids", "drawn"),
    [
        ([], [[], []], None),
        ([HERE], [[1], [1]], (32, 8)),  # known from the first frame on, by the number that the box has
        ([AWAY, HERE], [[2], [2]], (16, 68)),
        ([AWAY], [[], []], (16, 68)),  # nobody is born far from it
        ([[*HERE, 0.2]], [[1], [1]], None),  # too faint to be known, but what is near is born
        ([[*HERE, 0.2], [*AWAY, 0.9]], [[2], [2]], (16, 68)),
    ],
)
def test_boxes_of_another_detector(tracking, boxes, ids, drawn):
    detector, played = tracking
    tracker = detector.tracker(threshold=0.3)
    playing(tracker.detector, played.maps)
    given = [np.array(boxes, float), np.zeros((0, 4))]
    assert [tracker.step(*both).fields["track_ids"].tolist() for both in zip(black(2), given)] == ids
    prior = tracker.detector.graph.answer.shown[0]["prior"]
    peak = np.unravel_index(prior.argmax(), prior.shape)[:2] if prior.any() else None
    assert peak == drawn
    # The same of the whole video at once.
    playing(tracker.detector, played.maps)
    found = follow(tracker.detector, black(2), public=given.__getitem__)
    assert [one.fields["track_ids"].tolist() for one in found] == ids


def test_births_near_boxes_of_another_detector_in_later_frames(tracking):
    detector, _ = tracking
    tracker = detector.tracker()
    near = [[np.add(HERE, [8 * number, 0, 8 * number, 0])] for number in range(3)]
    found = [tracker.step(frame, boxes) for frame, boxes in zip(black(3), ([], near[1], []))]
    assert [one.fields["track_ids"].tolist() for one in found] == [[], [1], [1]]


@pytest.mark.parametrize("public", [[1, 2, 3], [[1, 2, 3]], [[1, 2, np.nan, 4]]])
def test_what_are_no_boxes_of_another_detector(tracking, public):
    with pytest.raises(UsageError, match="Boxes of another detector: got"):
        tracking[0].tracker().step(black()[0], public)


def test_boxes_without_classes_for_a_model_of_several():
    detector = detector_of({}, (64, 96), 5, ("car", "person"))
    with pytest.raises(UsageError, match="this model has 2, so nobody knows who they are"):
        detector.tracker().step(black()[0], [HERE])


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"brith": 0.4}, "track.brith: unknown setting"), ({"birth": 2}, "birth"), ({"amodal_box": True}, "another netw")],
)
def test_settings_that_cannot_be(tracking, settings, said):
    with pytest.raises(UsageError, match=said):
        tracking[0].tracker(**settings)


def test_frames_of_another_size(tracking):
    tracker = tracking[0].tracker()
    tracker.step(black()[0])
    with pytest.raises(DataError, match=r"frame 1 \(from 0\) has 48x32 pixels, the first one 96x64"):
        tracker.step(black(size=(32, 48))[0])


def test_videos_of_several_sizes_at_their_own_resolution():
    tracker = detector_of({"threshold": 0.01}, (64, 96), 5).with_input(None).tracker()
    for height, width in ((64, 96), (32, 48), (48, 48)):
        tracker.reset()
        found = [tracker.step(frame) for frame in black(2, (height, width))]
        assert [one.image_size for one in found] == [(width, height)] * 2 and all(map(len, found))


def test_a_model_that_does_not_track(spot_network, spot_card):
    detector = Detector(spot_network, spot_card)
    for call in (detector.tracker, lambda: with_settings(detector, max_age=2)):
        with pytest.raises(UsageError, match="detect does not track objects over time"):
            call()


def test_a_video_of_no_frame_and_of_one(tracking):
    assert list(follow(tracking[0], [])) == []
    assert [len(one) for one in follow(tracking[0], black(1))] == [1]


@pytest.mark.parametrize("prior", [True, False])
def test_further_stems_that_are_zero_make_it_the_detector(prior):
    keras.utils.set_random_seed(0)
    detector = detector_of({"prior": prior}, (64, 96), 5)
    single = ModelCard(**{**detector.card.model_dump(), "tasks": {"detect": {}}})
    tasks = single.task_set()
    alone = build_network("tiny", tasks.heads, tasks.inputs, 8)
    shared = {weight.path: weight for weight in detector.network.weights}
    for weight in alone.weights:
        weight.assign(shared[weight.path])
    for weight in detector.network.weights:
        if weight.path.split("/")[-2] in ("previous_stem", "prior_stem"):
            weight.assign(np.zeros(weight.shape))
    random = np.random.default_rng(1)
    image, other = random.normal(size=(2, 1, 64, 96, 3)).astype(np.float32)
    inputs = {"image": image, "previous": other, **({"prior": other[..., :1]} if prior else {})}
    both = detector.network(inputs, training=False)
    for name, maps in alone(image, training=False).items():
        np.testing.assert_array_equal(ops.convert_to_numpy(both[name][0]), ops.convert_to_numpy(maps[0]))
