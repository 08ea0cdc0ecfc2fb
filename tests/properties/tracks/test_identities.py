"""Numbers of identities over all videos: classes one after another, videos apart, and the same whatever the order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from centernet_tf.properties.metric import ImageKey
from centernet_tf.properties.tracks import IDENTITY, LABEL, VIDEO, NumberedTracks, Tracks
from centernet_tf.properties.tracks.identities import number


def image(video, labels, classes=None, ignored=(), crowd=()):
    count = len(labels)
    rows = {
        "track_ids": np.array(labels, np.int64).reshape(-1),
        "classes": np.array([0] * count if classes is None else classes, np.int64).reshape(-1),
        "ignored": np.isin(np.arange(count), ignored),
        "crowd": np.isin(np.arange(count), crowd),
    }
    return ImageKey(0, video, 1), rows


def slow(images):
    """{(video, label): number}, and how many of each class, with loops."""
    seen = {}
    for key, rows in images:
        for label, kind, ignored, crowd in zip(*(rows[n] for n in ("track_ids", "classes", "ignored", "crowd"))):
            if label >= 0 and kind >= 0 and not ignored and not crowd:
                seen.setdefault((key.video, int(label)), []).append(int(kind))
    kinds = {who: min(set(found), key=lambda kind: (-found.count(kind), kind)) for who, found in seen.items()}
    order = sorted(kinds, key=lambda who: (kinds[who], who))
    most = max(kinds.values(), default=-1) + 1
    return {who: place for place, who in enumerate(order)}, tuple([*kinds.values()].count(k) for k in range(most))


def test_nobody():
    for images in ([], [image("a", [])], [image("", [-1, -1])], [image("a", [3, 4], ignored=[0], crowd=[1])]):
        found = number(images)
        assert found.count == 0 and found.per_class == found.starts == ()
        assert found.of("a", np.array([3, 4])).tolist() == [-1, -1]
        assert found.of("a", np.array([], np.int64)).shape == (0,)


@pytest.mark.parametrize(
    ("images", "expected", "per_class"),
    [
        ([image("a", [5])], {("a", 5): 0}, (1,)),
        ([image("a", [0, 1]), image("b", [0]), image("a", [1])], {("a", 0): 0, ("a", 1): 1, ("b", 0): 2}, (3,)),
        ([image("", [7, 2]), image("", [7])], {("", 2): 0, ("", 7): 1}, (2,)),  # of single images, labels are for all
        ([image("a", [0, 1], [1, 0]), image("b", [0], [2])], {("a", 1): 0, ("a", 0): 1, ("b", 0): 2}, (1, 1, 1)),
        ([image("a", [0], [2])], {("a", 0): 0}, (0, 0, 1)),
        ([image("a", [0], [1]), image("a", [0], [0])], {("a", 0): 0}, (1,)),
        ([image("a", [0], [1]), image("a", [0], [0]), image("a", [0], [1])], {("a", 0): 0}, (0, 1)),
    ],
)
def test_known_tables(images, expected, per_class):
    found = number(images)
    assert {who: int(found.of(who[0], np.array([who[1]]))[0]) for who in expected} == expected
    assert found.per_class == per_class and found.count == len(expected)
    assert slow(images) == (expected, per_class)


objects = st.tuples(st.integers(-1, 6), st.integers(-1, 2), st.booleans(), st.booleans())
frames = st.lists(st.tuples(st.sampled_from(["", "a", "b", "é"]), st.lists(objects, max_size=5)), max_size=8)


@settings(max_examples=150, deadline=None)
@given(frames, st.randoms())
def test_as_with_loops_whatever_the_order(given_frames, random):
    images = []
    for video, rows in given_frames:
        flags = [[place for place, row in enumerate(rows) if row[part]] for part in (2, 3)]
        images.append(image(video, [row[0] for row in rows], [row[1] for row in rows], *flags))
    expected, per_class = slow(images)
    random.shuffle(images)
    found = number(images)
    assert found.per_class == per_class and found.count == len(expected)
    for video in ("", "a", "b", "é", "nowhere"):
        labels = np.arange(-1, 8)
        of = found.of(video, labels)
        assert of.dtype == np.int32
        assert of.tolist() == [expected.get((video, label), -1) for label in labels.tolist()]
    for kind, start in enumerate(found.starts):
        assert start == sum(per_class[:kind])


def test_numbered_tracks_add_their_row():
    tracks = Tracks().over([image("a", [4, 9]), image("b", [4])])
    assert [field.name for field in tracks.fields] == ["track_ids", "identities"] and IDENTITY in Tracks.overall
    boxes = np.zeros((3, 4), np.float32)
    lists = {LABEL: np.array([9, -1, 5]), VIDEO: np.array([b"a"], object)}
    rows = tracks.unpack(lists, boxes, (8, 8))
    assert rows["identities"].tolist() == [1, -1, -1] and rows["track_ids"].tolist() == [9, -1, 5]
    rows = tracks.unpack({**lists, VIDEO: np.array([], object)}, boxes, (8, 8))
    assert rows["identities"].tolist() == [-1, -1, -1]
    assert isinstance(tracks, NumberedTracks) and tracks.model_dump() == Tracks().model_dump() == {}


def test_a_hundred_thousand_identities_are_quick():
    images = [image(f"{video:03d}", np.arange(1000)) for video in range(100)]
    found = number(images)
    assert found.count == 100_000
    np.testing.assert_array_equal(found.of("042", np.array([999, 0, 1000])), [42_999, 42_000, -1])
