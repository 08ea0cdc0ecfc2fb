"""Identities are counted; what jumps, changes its class or stands twice is found."""

import numpy as np
import pytest

from centernet_tf.properties.metric import ImageKey
from centernet_tf.properties.notebook import Notebook
from centernet_tf.properties.tracks import Tracks

HERE = [10, 10, 30, 20]


def survey(*frames, tubes=False):
    """Looks at frames (video, number, [(identity, class, box)]); the survey, and {code: finding}."""
    notebook = Notebook(Tracks.checks)
    book = Tracks(tubes=tubes).survey(notebook)
    for video, number, objects in frames:
        ids, classes, boxes = zip(*objects) if objects else ((), (), ())
        rows = {
            "track_ids": np.array(ids, int),
            "classes": np.array(classes, int),
            "boxes": np.array(boxes, float).reshape(-1, 4),
            "ignored": np.array([label < 0 for label in classes], bool),
        }
        book.add(f"{video}{number}.png", rows, (100, 100), ImageKey(0, video, number))
    book.close()
    return book, {finding.code: finding for finding in notebook.findings()}


def test_nothing():
    for frames in ((), (("a", 1, []),)):
        book, found = survey(*frames)
        assert not found and book.facts() == {} and book.tables() == []
        assert book.as_dict() == {"identities": 0, "gaps": 0, "frames": None}


def test_identities_are_counted_video_by_video():
    frames = [("a", 1), ("a", 2), ("a", 4), ("b", 1)]
    book, found = survey(*((video, number, [(3, 0, HERE)]) for video, number in frames))
    assert not found
    assert book.as_dict() == {"identities": 2, "gaps": 1, "frames": {"low": 1, "median": 2.0, "high": 3}}
    assert book.facts() == {"identities": "2, seen in 1 to 3 frames, median 2; 1 gaps"}


@pytest.mark.parametrize(
    ("code", "severity", "first", "second"),
    [
        ("track_changes_class", "warning", [(3, 0, HERE)], [(3, 1, HERE)]),
        ("track_jumps", "warning", [(3, 0, HERE)], [(3, 0, [71, 10, 91, 20])]),
        ("twin_track", "error", [], [(3, 0, HERE), (3, 0, [50, 50, 60, 60])]),
        ("no_track", "note", [(-1, 0, HERE)], [(3, 0, HERE)]),
    ],
)
def test_what_is_found(code, severity, first, second):
    found = survey(("a", 1, first), ("a", 2, second))[1]
    assert set(found) == {code} and (found[code].severity, found[code].count) == (severity, 1)
    assert found[code].examples[0].startswith("a")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("a", 1, [(3, 0, HERE)]), ("b", 2, [(3, 1, HERE)])),  # another video
        (("a", 1, [(3, 0, HERE)]), ("a", 3, [(3, 0, [71, 10, 91, 20])])),  # a frame between was not seen
        (("a", 1, [(3, 0, HERE)]), ("a", 2, [(3, 0, [69, 10, 89, 20])])),  # not further than three times its side
        (("a", 1, [(3, 0, HERE)]), ("a", 2, [(3, -1, [71, 10, 91, 20])])),  # ignored
    ],
)
def test_what_is_no_fault(first, second):
    assert not survey(first, second)[1]


@pytest.mark.parametrize(
    ("frames", "videos"),
    [
        ([("a", 1, [])], 0),
        ([("a", 1, [(-1, 0, HERE)]), ("a", 2, [(-1, 0, HERE)]), ("b", 1, [(-1, 0, HERE)])], 2),
        ([("a", 1, [(-1, 0, HERE)]), ("b", 1, [(3, 0, HERE)])], 0),  # some have
        ([("", 0, [(-1, 0, HERE)])], 0),  # a single image
        ([("a", 1, [(-1, -1, HERE)])], 0),  # ignored
    ],
)
def test_videos_without_any_identity(frames, videos):
    found = survey(*frames)[1]
    counts = {code: one.count for code, one in found.items() if code != "no_track"}
    assert counts == ({"no_tracks_at_all": videos} if videos else {})


def test_of_actions_tubes_are_counted_and_classes_may_change():
    book, found = survey(("a", 1, []), tubes=True)
    assert not found and "tubes" not in book.facts() and book.as_dict()["tube_frames"] is None
    # Identity 3 walks for 8 frames and then stands for 2; identity 5 is away for a frame; another video begins anew.
    frames = [("a", number, [(3, int(number > 8), HERE)]) for number in range(1, 11)]
    frames += [("b", number, [(3, 0, HERE)]) for number in (1, 2, 3, 5, 6, 7, 8, 9, 10, 11)]
    book, found = survey(*frames, tubes=True)
    assert found.keys() == {"short_tube"} and found["short_tube"].count == 2
    assert book.facts()["tubes"] == "4, of 2 to 8 frames, median 5"
    assert book.as_dict()["tubes"] == 4 and book.as_dict()["tube_frames"] == {"low": 2, "median": 5.0, "high": 8}
    assert survey(*frames)[1].keys() == {"track_changes_class"} and "tubes" not in survey(*frames)[0].as_dict()
