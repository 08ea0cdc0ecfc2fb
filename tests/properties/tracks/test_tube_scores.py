"""Scores of actions are those of the official code; truth as predictions is perfect; nothing is counted that is not."""

import json

import numpy as np
import pytest
from rich.console import Console

from centernet_tf.errors import DataError
from centernet_tf.properties import as_plain, read_properties
from centernet_tf.properties.metric import ImageKey
from centernet_tf.properties.tracks import NumberedTracks, Tracks
from centernet_tf.properties.tracks.tube_ap import ERRORS, area, sum_up
from centernet_tf.properties.tracks.tube_scores import OVERLAPS, RANGE, TubeMetric

NAMES = ("walk", "still", "wing")


def rows(*objects, **more):
    """(identity, class, left) each; boxes are 10 x 10."""
    left = np.array([one[2] for one in objects], np.float32)
    boxes = np.stack([left, 0 * left, left + 9, 0 * left + 9], axis=1).reshape(-1, 4)
    count = len(objects)
    flags = {"ignored": np.zeros(count, bool), "crowd": np.zeros(count, bool)}
    ids, classes = (np.array([one[place] for one in objects], int) for place in (0, 1))
    return {"track_ids": ids, "classes": classes, "boxes": boxes, "scores": np.ones(count), **flags, **more}


def scored(frames, names=NAMES, video="v"):
    """(told, truth) of each frame from 1; the scores."""
    metric = TubeMetric(names)
    for number, (told, truth) in enumerate(frames, start=1):
        metric.alone(ImageKey(number, video, number), told)
        metric.update(ImageKey(number, video, number), told, truth)
    return metric.result()


def golden_scores(golden_points, golden_windows):
    arrays, meta = golden_points("moc-metrics")
    metric = TubeMetric(meta["labels"])
    for video, frames in meta["videos"].items():
        tubes = {kind: tubes_of(arrays, kind, video) for kind in ("tube", "gt")}
        windows = golden_windows("moc-metrics", video)
        scores = [score for label in range(2) for score in meta["tube_scores"][f"{video}/{label}"]]
        for frame in range(1, frames + 1):
            key = ImageKey(frame, video, frame)
            nothing = {name: values[:0] for name, values in windows[1].items()}
            metric.alone(key, windows.get(frame - 3, nothing))
            found, truth = (at_frame(tubes[kind], frame) for kind in ("tube", "gt"))
            found["tube_scores"] = np.array(scores)[found["track_ids"]]
            metric.update(key, found, truth)
    return metric.result(), meta


def tubes_of(arrays, kind, video):
    return [(int(key.split("/")[-2]), table) for key, table in arrays.items() if key.startswith(f"{kind}/{video}/")]


def at_frame(tubes, frame):
    """Rows of the tubes, numbered from 0, at a frame."""
    there = [
        (number, label, table[table[:, 0] == frame][0])
        for number, (label, table) in enumerate(tubes)
        if frame in table[:, 0]
    ]
    found = rows(*((number, label, 0) for number, label, _ in there))
    boxes = np.array([row[1:5] for *_, row in there], np.float32).reshape(-1, 4)
    return {**found, "boxes": boxes, "scores": np.array([row[-1] for *_, row in there])}


def test_scores_are_those_of_the_original(golden_points, golden_windows):
    scores, meta = golden_scores(golden_points, golden_windows)
    assert scores.names == tuple(meta["labels"]) and scores.videos == 2
    error = meta["frame_error_at_0.5"]
    for place in range(2):
        frames, tubes = scores.frames[place], scores.tubes[place]
        assert frames["AP"] == pytest.approx(meta["frame_ap"]["0.5"]["per_class_stable"][place], abs=1e-5)
        for name in (*ERRORS, "missed"):
            assert frames[name] == pytest.approx(error[name][place], abs=1e-5), name
        for overlap in OVERLAPS:
            expected = meta["video_ap"][f"{overlap:g}"]["per_class"][place]
            assert tubes[f"{overlap:g}"] == pytest.approx(expected, abs=1e-6)
    assert 100 * scores.tube_means[RANGE] == pytest.approx(meta["video_ap_050_095_percent"], abs=1e-4)
    assert 100 * scores.frame_means["AP"] == pytest.approx(meta["frame_ap"]["0.5"]["mean_percent"], abs=1)


@pytest.mark.parametrize("overlap", ["0.2", "0.75"])
def test_frames_at_other_overlaps_too(overlap, golden_points, golden_windows, monkeypatch):
    monkeypatch.setattr("centernet_tf.properties.tracks.tube_scores.FRAME_OVERLAP", float(overlap))
    scores, meta = golden_scores(golden_points, golden_windows)
    found = [frames["AP"] for frames in scores.frames]
    assert found == pytest.approx(meta["frame_ap"][overlap]["per_class_stable"], abs=1e-5)


def test_the_area_is_that_of_the_original(golden_points):
    arrays, meta = golden_points("moc-blocks")
    table = arrays["pr_to_ap/in"]
    assert area(table[:, 0], table[:, 1]) == pytest.approx(meta["pr_to_ap"], abs=1e-6)


def test_nothing_anywhere():
    assert TubeMetric(NAMES).result() is None
    empty = scored([(rows(), rows())] * 3)
    assert empty.names == () and empty.videos == 1
    assert all(np.isnan(value) for value in empty.main.values())
    assert empty.as_dict()["tubes"]["summary"]["frame mAP"] is None
    assert empty.tables()[0].row_count == 1
    assert np.isnan(sum_up(np.zeros(0), np.zeros(0, int), 0)["AP"])
    assert sum_up(np.zeros(0), np.zeros(0, int), 3) == {"AP": 0, **dict.fromkeys(ERRORS, 0), "missed": 1}


def test_single_images_are_not_scored():
    metric = TubeMetric(NAMES)
    metric.alone(ImageKey(1), rows((1, 0, 0)))
    metric.update(ImageKey(1), rows((1, 0, 0)), rows((1, 0, 0)))
    assert metric.result() is None


@pytest.mark.parametrize("seed", range(3))
def test_truth_as_predictions_is_perfect(seed):
    random = np.random.default_rng(seed)
    frames = []
    for number in range(40):
        objects = [(who, int(random.integers(3) if number % 20 == 0 else 0), 20 * who + number % 5) for who in range(4)]
        frames.append((rows(*objects), rows(*objects)))
    scores = scored(frames)
    assert scores.main == {"frame-mAP": pytest.approx(1), "video-mAP": pytest.approx(1)}
    for frames, tubes in zip(scores.frames, scores.tubes):
        assert frames == pytest.approx({"AP": 1, **dict.fromkeys(ERRORS, 0), "missed": 0})
        assert tubes == pytest.approx(dict.fromkeys(tubes, 1))


@pytest.mark.parametrize(
    ("found", "truth", "other", "error"),
    [
        ([(1, 0, 50)], [(1, 0, 0)], [], "localisation"),
        ([(1, 0, 0)], [(1, 1, 0)], [(1, 0, 0)], "classification"),
        ([(1, 0, 0)], [], [(1, 0, 0)], "timing"),
        ([(1, 0, 50)], [(1, 1, 0)], [(1, 0, 0)], "other"),
        ([(1, 0, 0), (2, 0, 0)], [(1, 0, 0)], [], "localisation"),
    ],
)
def test_errors_are_of_the_kind_that_they_are(found, truth, other, error):
    """The first frame says it; another gives the recall over which it is summed up."""
    faint = {"scores": np.full(len(found), 0.9)}
    right = [(1, 0, 0)]
    frames = [(rows(*found, **faint), rows(*truth)), (rows(*right, scores=np.full(1, 0.5)), rows(*(other or right)))]
    values = scored(frames).frames[0]
    assert values[error] > 0
    assert all(values[name] == 0 for name in ERRORS if name != error)


def test_what_is_not_found_is_missed():
    frames = [(rows((1, 0, 0)) if number < 3 else rows(), rows((1, 0, 0))) for number in range(4)]
    assert scored(frames).frames[0]["missed"] == pytest.approx(0.25)


@pytest.mark.parametrize("unwanted", ["ignored", "crowd", "unknown"])
@pytest.mark.parametrize("label", [0, -1])
def test_what_is_unwanted_is_neither_missed_nor_false(unwanted, label):
    there = rows((-1 if unwanted == "unknown" else 7, label, 50))
    if unwanted != "unknown":
        there[unwanted] = np.array([True])
    wanted = rows((1, 0, 0))
    truth = {name: np.concatenate([wanted[name], values]) for name, values in there.items()}
    both = scored([(rows((1, 0, 0), (2, 0, 50), scores=np.array([0.5, 0.9])), truth)] * 3)
    assert both.main == {"frame-mAP": pytest.approx(1), "video-mAP": pytest.approx(1)}
    alone = scored([(rows((1, 0, 0)), truth)] * 3)
    assert alone.frames[0]["missed"] == 0 and len(alone.names) == 1
    away = scored([(rows((1, 0, 0), (2, 0, 90), scores=np.array([0.5, 0.9])), truth)] * 3)
    assert away.main["frame-mAP"] < 1 and away.main["video-mAP"] < 1


def test_classes_of_which_nothing_is_annotated_count_for_nothing():
    scores = scored([(rows((1, 0, 0), (2, 2, 50)), rows((1, 0, 0)))] * 3)
    assert scores.names == ("walk", "wing") and np.isnan(scores.frames[1]["AP"])
    assert scores.main == {"frame-mAP": pytest.approx(1), "video-mAP": pytest.approx(1)}


def test_windows_that_reach_beyond_the_video_do_not_count():
    metric = TubeMetric(NAMES)
    for frame in range(1, 10):
        right = 4 <= frame <= 6  # around these, windows of 7 frames lie in the video of 9
        boxes = np.zeros((1, 7, 4)) + ([0, 0, 9, 9] if right else [50, 50, 59, 59])
        found = {"tubelets": boxes, "scores": np.array([0.5 if right else 0.9]), "classes": np.array([0])}
        metric.alone(ImageKey(0, "v", frame), found)
        metric.update(ImageKey(0, "v", frame), rows(), rows((1, 0, 0)))
    frames = metric.result().frames[0]
    # Up to three windows show a frame; all but one of their boxes are doubles, which score 0.
    assert frames["AP"] == pytest.approx(1) and frames["missed"] == 0


def test_frames_of_a_video_that_are_apart_are_told():
    metric = TubeMetric(NAMES)
    for video in ("a", "b"):
        metric.update(ImageKey(0, video, 1), rows(), rows())
    with pytest.raises(DataError, match="video a do not follow one another"):
        metric.update(ImageKey(0, "a", 2), rows(), rows())


def test_a_track_that_changes_its_class_is_two_tubes():
    told = [(rows((1, int(number > 4), 0)), rows((1, int(number > 4), 0))) for number in range(10)]
    late = [(rows((1, int(number > 6), 0)), truth) for number, (_, truth) in enumerate(told)]
    assert scored(told).main["video-mAP"] == 1
    assert scored(late).tubes[0] == pytest.approx({**dict.fromkeys(scored(late).tubes[0], 0.0), "0.2": 1, **at(5 / 7)})


def at(overlap):
    """AP of a tube that overlaps so much."""
    named = {f"{value:g}": float(value <= overlap) for value in OVERLAPS}
    return {**named, RANGE: np.mean([named[f"{value:g}"] for value in OVERLAPS if value >= 0.5])}


def test_tables_and_json_say_it():
    scores = scored([(rows((1, 0, 0)), rows((1, 0, 0), (2, 1, 50)))] * 3)
    told = scores.as_dict()["tubes"]
    assert told["videos"] == 1 and [one["name"] for one in told["classes"]] == ["walk", "still"]
    assert told["summary"]["frame mAP"] == pytest.approx(0.5) and told["summary"]["video mAP"]["0.5"] == 0.5
    assert told["classes"][1]["errors"]["missed"] == 1 and json.loads(json.dumps(told)) == told
    console = Console(width=160)
    with console.capture() as shown:
        console.print(*scores.tables())
    assert "Actions in 1 videos" in shown.get() and "localisation" in shown.get() and "100.0" in shown.get()


def test_the_model_decides_what_is_measured():
    plain, tubes = Tracks(), Tracks(tubes=True)
    for records in (plain, tubes):
        assert isinstance(records.scored_as(tubes).metrics(NAMES)[0], TubeMetric)
        assert not isinstance(records.scored_as(plain).metrics(NAMES)[0], TubeMetric)
    assert plain.difference(tubes) == tubes.mismatch(plain) == ""
    assert NumberedTracks(identities=plain.over([]).identities, tubes=True).tubes and tubes.over([]).tubes


def test_dataset_yaml_says_that_classes_are_actions_and_is_else_as_before():
    assert as_plain([Tracks()]) == {"tracks": {}} and as_plain([Tracks(tubes=True)]) == {"tracks": {"tubes": True}}
    for one in (Tracks(), Tracks(tubes=True)):
        assert read_properties(as_plain([one]), "here") == (one,)
