"""MOTA, IDF1 and HOTA are TrackEval's to 1e-6, video by video and of all videos together."""

import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from centernet_tf.geometry.boxes import box_iou
from centernet_tf.properties.metric import ImageKey
from centernet_tf.properties.tracks import Tracks, mot
from centernet_tf.properties.tracks.scores import TrackMetric

GOLDEN = Path(__file__).parents[2] / "golden" / "tracking"
DISTRACTORS = (2, 7, 8, 12)
NAMES = ("toys", "random", "distractors")


def golden(name):
    with np.load(GOLDEN / f"metric__{name}.npz") as file:
        return dict(file), json.loads(bytes(file["meta"]))


def corners(rows):
    return np.concatenate([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]], axis=1)


def truth_of(rows, distractors):
    """Rows of a frame as the reader of MOTChallenge gives them for evaluation."""
    unwanted = np.isin(rows[:, 7], DISTRACTORS) if distractors else np.zeros(len(rows), bool)
    kept = unwanted | ((rows[:, 6] != 0) & ((rows[:, 7] == 1) if distractors else True))
    rows, ignored = rows[kept], unwanted[kept]
    return {
        "boxes": corners(rows),
        "classes": np.where(ignored, -1, 0),
        "ignored": ignored,
        "crowd": np.zeros(len(rows), bool),
        "track_ids": rows[:, 1].astype(int),
    }


def measured(name, videos, names=("person",)):
    arrays, meta = golden(name)
    metric = TrackMetric(names)
    for video in videos:
        for frame in range(1, meta["frames"][video] + 1):
            told, found = (arrays[f"{kind}/{video}"] for kind in ("gt", "tracker"))
            told, found = told[told[:, 0] == frame], found[found[:, 0] == frame]
            ours = {"boxes": corners(found), "classes": np.zeros(len(found), int), "track_ids": found[:, 1].astype(int)}
            metric.update(ImageKey(0, video, frame), ours, truth_of(told, meta["remove_distractors"]))
    return metric.result()


CASES = [(name, video) for name in NAMES for video in golden(name)[1]["scores"]]


@pytest.mark.parametrize(("name", "video"), CASES, ids=lambda value: value)
def test_scores_are_those_of_trackeval(name, video):
    meta = golden(name)[1]
    expected = meta["scores"][video]
    sums = measured(name, list(meta["frames"]) if video == "ALL" else [video]).all
    clear, identity, hota = (expected[kind] for kind in ("CLEAR", "Identity", "HOTA"))
    counts = {"matches": "CLR_TP", "misses": "CLR_FN", "false": "CLR_FP", "switches": "IDSW", "mostly": "MT"}
    counts |= {"partly": "PT", "lost": "ML", "fragments": "Frag"}
    assert {ours: getattr(sums.clear, ours) for ours in counts} == {ours: clear[name] for ours, name in counts.items()}
    assert (sums.identity.right, sums.identity.misses, sums.identity.false) == tuple(
        identity[name] for name in ("IDTP", "IDFN", "IDFP")
    )
    figures = sums.figures()
    assert figures["MOTA"] == pytest.approx(clear["MOTA"], abs=1e-6)
    assert figures["IDF1"] == pytest.approx(identity["IDF1"], abs=1e-6)
    assert sums.clear.iou == pytest.approx(clear["MOTP_sum"], abs=1e-6)
    for ours, theirs in (("hota", "HOTA"), ("detection", "DetA"), ("association", "AssA"), ("location", "LocA")):
        np.testing.assert_allclose(getattr(sums.hota, ours), hota[theirs], atol=1e-6)
    assert figures["HOTA"] == pytest.approx(np.mean(hota["HOTA"]), abs=1e-6)


def test_nothing_anywhere():
    nothing = [mot.Frame(np.zeros(0, int), np.zeros(0, int), np.zeros((0, 0)))]
    for frames in ([], nothing):
        assert mot.clear(frames) == mot.Clear() and mot.identity(frames) == mot.Identity()
        assert mot.hota(frames).matches.sum() == 0
    assert TrackMetric(("a",)).result() is None
    figures = mot.Clear()
    assert np.isnan(figures.mota) and np.isnan(figures.motp) and np.isnan(mot.Identity().f1)


def slow_switches(frames):
    """How often an identity is covered by another track than last, where every IoU is 0 or 1."""
    last, count = {}, 0
    for frame in frames:
        for row, identity in enumerate(frame.truth.tolist()):
            for track in frame.tracks[frame.iou[row] == 1].tolist():
                count += last.get(identity, track) != track
                last[identity] = track
    return count


@pytest.mark.parametrize("seed", range(5))
def test_switches_are_counted_as_a_slow_twin_does(seed):
    random = np.random.default_rng(seed)
    frames = []
    for _ in range(20):
        truth, tracks = (np.sort(random.permutation(4)[: random.integers(0, 5)]) for _ in range(2))
        boxes = [10.0 * np.stack([order, order, order + 0.9, order + 0.9], axis=1) for order in (truth, tracks)]
        frames.append(mot.Frame(truth, random.permutation(tracks), box_iou(*boxes)))
    assert mot.clear(frames).switches == slow_switches(frames) > 0


def rows(ids, boxes, classes=None, **more):
    count = len(ids)
    flags = {"ignored": np.zeros(count, bool), "crowd": np.zeros(count, bool)}
    return {
        "track_ids": np.array(ids, int),
        "boxes": np.array(boxes, float).reshape(count, 4),
        "classes": np.zeros(count, int) if classes is None else np.array(classes),
        **flags,
        **more,
    }


BOX, FAR = [0, 0, 10, 10], [50, 50, 60, 60]


def test_single_images_and_detections_without_identity_are_not_scored():
    metric = TrackMetric(("a",))
    metric.update(ImageKey(1), rows([1], [BOX]), rows([1], [BOX]))
    there = rows([1], [BOX])
    metric.update(ImageKey(1, "a", 1), {name: there[name] for name in ("boxes", "classes")}, there)
    assert metric.result() is None


@pytest.mark.parametrize(
    "unwanted",
    [{"ignored": np.array([True])}, {"crowd": np.array([True])}, {"track_ids": np.array([-1])}],
    ids=lambda one: next(iter(one)),
)
@pytest.mark.parametrize("label", [0, -1])
def test_what_is_unwanted_is_neither_missed_nor_false(unwanted, label):
    metric = TrackMetric(("a",))
    metric.update(ImageKey(0, "v", 1), rows([], []), rows([5], [BOX], [label], **unwanted))
    metric.update(ImageKey(0, "v", 2), rows([1], [BOX]), rows([5], [BOX], [label], **unwanted))
    counts = metric.result().all.counts()
    assert counts["misses"] == counts["false"] == 0
    metric.update(ImageKey(0, "v", 3), rows([1], [FAR]), rows([5], [BOX], [label], **unwanted))
    assert metric.result().all.counts()["false"] == 1


def test_classes_and_videos_are_apart():
    metric, _ = Tracks().metrics(("cat", "dog", "cow"), digits=2)
    truth = rows([0, 1], [BOX, FAR], [0, 1])
    # The cat of the first video is called another in the second; identities of videos have nothing to do with another.
    for video, ids in (("a", [1, 2]), ("b", [7, 2])):
        for frame in (1, 2):
            found = rows(ids, [BOX, FAR], [0, 1 if frame == 1 else 0])
            metric.update(ImageKey(0, video, frame), found, truth)
    scores = metric.result()
    assert scores.names == ("cat", "dog") and scores.videos == 2
    cat, dog = scores.classes
    assert cat.figures()["IDF1"] == pytest.approx(2 * 4 / (2 * 4 + 2)) and cat.clear.switches == 0
    assert dog.counts()["misses"] == 2 and dog.figures()["MOTA"] == 0.5
    told = scores.as_dict()["tracks"]
    assert told["classes"][1]["name"] == "dog" and told["summary"]["misses"] == 2
    assert json.loads(json.dumps(told)) == told
    assert scores.main == {"HOTA": scores.all.figures()["HOTA"]}
    console = Console(width=160)
    with console.capture() as shown:
        console.print(*scores.tables())
    assert "Identities in 2 videos" in shown.get() and "50.0" in shown.get()


def test_frames_may_come_in_any_order():
    frames = [(1, [1]), (2, [2]), (3, [2])]
    results = []
    for order in (frames, frames[::-1]):
        metric = TrackMetric(("a",))
        for frame, ids in order:
            metric.update(ImageKey(0, "v", frame), rows(ids, [BOX]), rows([0], [BOX]))
        results.append(metric.result().all)
    assert results[0].counts() == results[1].counts() and results[0].clear.switches == 1


def test_an_iou_at_the_threshold_matches():
    half = [0, 0, 10, 5]
    metric = TrackMetric(("a",))
    metric.update(ImageKey(0, "v", 1), rows([3], [half]), rows([0], [BOX]))
    assert metric.result().all.clear.matches == metric.result().all.identity.right == 1
