"""Videos of objects that are recognised: the original on recorded maps, and several videos at the same time."""

import json
from pathlib import Path

import numpy as np
import pytest
from keras import ops

from centernet_tf.detector.detector import Detector
from centernet_tf.detector.follow import follow, with_settings
from centernet_tf.errors import UsageError
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.network import build_network
from centernet_tf.points.centers import Centers
from centernet_tf.tasks import build_tasks, read_task

GOLDEN = Path(__file__).parents[1] / "golden" / "tracking" / "sequence_fm__default.npz"
HEADS = {"heatmap": "hm", "offset": "reg", "size": "wh", "embedding": "id"}


def detector_of(size, objects=40, classes=("person",), embedding=8, **settings):
    """Around a network that knows nothing."""
    plain = InputCard(height=size[0], width=size[1], stride=4, mean=(0, 0, 0), std=(1, 1, 1), order="rgb")
    card = ModelCard(
        tasks={"reid": {"embedding": embedding, **settings}},
        backbone="tiny",
        classes=classes,
        max_objects=objects,
        ltrb=True,
        input=plain,
        head_channels=8,
    )
    tasks = card.task_set()
    return Detector(build_network("tiny", tasks.heads, tasks.inputs, 8), card)


class Played:
    """Stands for the network: plays maps back, frame by frame."""

    def __init__(self, maps):
        self.maps, self.next = maps, 0

    def __call__(self, shown):
        count = len(shown["image"])
        self.next += count
        return {
            name: ops.convert_to_tensor(values[self.next - count : self.next]) for name, values in self.maps.items()
        }


def playing(detector, maps):
    detector.graph.run_eagerly = True
    detector.graph.answer = Played(maps)
    return detector


@pytest.mark.parametrize("batch_size", [None, 3])
def test_equals_the_original_on_recorded_maps(batch_size):
    with np.load(GOLDEN) as file:
        arrays = dict(file)
    meta = json.loads(arrays.pop("meta").tobytes())
    settings = {"threshold": meta["conf_thres"], "embedding": meta["heads"]["id"]}
    detector = detector_of(tuple(meta["input_hw"]), meta["K"], **settings)
    playing(detector, {ours: arrays[f"raw_{theirs}"] for ours, theirs in HEADS.items()})
    width, height = meta["picture_wh"]
    frames = [np.zeros((height, width, 3), np.uint8)] * meta["frames"]
    tracker = detector.tracker()
    told = follow(detector, frames, 0.0, batch_size) if batch_size else map(tracker.step, frames)
    count = 0
    for number, found in enumerate(told):
        rows = np.flatnonzero(arrays["out_frame"] == number)
        rows = rows[np.argsort(arrays["out_tracking_id"][rows])]
        order = np.argsort(found.fields["track_ids"])
        assert found.fields["track_ids"][order].tolist() == arrays["out_tracking_id"][rows].tolist()
        left, top, wide, high = arrays["out_ltwh"][rows].T
        expected = np.stack([left, top, left + wide, top + high], axis=1)
        np.testing.assert_allclose(found.boxes[order], expected, atol=2e-3)
        count += len(rows)
    assert count == len(arrays["out_frame"]) > 10


def maps_of(places, looks, size=(16, 24), cells=4):
    """Maps [frames, ...] of objects at cells [(row, column, class)] of each frame, with the looks of each."""
    frames = len(places)
    maps = {
        "heatmap": np.full((frames, *size, 2), -9.0, np.float32),
        "offset": np.zeros((frames, *size, 2), np.float32),
        "size": np.full((frames, *size, 4), cells / 2, np.float32),
        "embedding": np.zeros((frames, *size, len(looks[0])), np.float32),
    }
    for frame, objects in enumerate(places):
        for (row, column, label), look in zip(objects, looks):
            maps["heatmap"][frame, row, column, label] = 3.0
            maps["embedding"][frame, row, column] = look
    return maps


def two_videos():
    """Two objects of two classes that walk, in two videos, who look alike across the videos."""
    places = [[(4, 4 + frame, 0), (10, 18 - frame, 1)] for frame in range(5)]
    other = [[(10, 4 + frame, 0), (4, 18 - frame, 0)] for frame in range(5)]
    looks = np.eye(4, dtype=np.float32)[:2]
    return maps_of(places, looks), maps_of(other, looks)


def ids_of(found):
    return found.fields["track_ids"][np.argsort(found.boxes[:, 1])].tolist()


def test_videos_and_classes_at_the_same_time_do_not_share_identities():
    detectors = [playing(detector_of((64, 96), 5, ("a", "b"), embedding=4), maps) for maps in two_videos()]
    trackers = [detector.tracker() for detector in detectors]
    frame = np.zeros((64, 96, 3), np.uint8)
    together = [[ids_of(tracker.step(frame)) for tracker in trackers] for _ in range(5)]
    assert all(one == other == [1, 2] for one, other in together)


def test_a_tracker_forgets_where_it_is_reset():
    maps, _ = two_videos()
    detector = playing(detector_of((64, 96), 5, ("a", "b"), embedding=4), maps)
    tracker = detector.tracker()
    frame = np.zeros((64, 96, 3), np.uint8)
    before = [ids_of(tracker.step(frame)) for _ in range(2)]
    tracker.reset()
    assert before == [[1, 2]] * 2 and ids_of(tracker.step(frame)) == [1, 2]


def test_settings_of_the_association_change_and_those_of_the_network_do_not():
    detector = detector_of((64, 96))
    assert with_settings(detector, max_age=3, low=0.1).card.tasks["reid"]["max_age"] == 3
    with pytest.raises(UsageError, match="would need another network"):
        with_settings(detector, embedding=5)
    with pytest.raises(UsageError, match=r"low is 0\.5, expected less than threshold, 0\.4"):
        with_settings(detector, low=0.5)


def test_beside_a_task_that_says_who_is_who():
    settings = {"track": read_task("track", {}), "reid": read_task("reid", {"identities": (5,)})}
    with pytest.raises(ValueError, match="Set associates: false"):
        _ = build_tasks(settings, Centers(1)).associate
    quiet = {**settings, "reid": read_task("reid", {"identities": (5,), "associates": False})}
    tasks = build_tasks(quiet, Centers(1))
    assert tasks.associate.recall is not None
    assert {find.name for find in tasks.finds} == {"displacements", "points", "embeddings"}
