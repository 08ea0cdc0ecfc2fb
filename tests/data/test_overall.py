"""Rows that take all records to tell: given in training, unknown in validation, and the same when asked again."""

import dataclasses

import numpy as np
import pytest

from centernet_tf.data import overall
from centernet_tf.data.augment import Augmentation
from centernet_tf.data.dataset import Shard, open_dataset, sha256_of
from centernet_tf.data.example import VIDEO
from centernet_tf.data.pipeline import Feed
from centernet_tf.datasets.drawn.film import Film, read
from centernet_tf.datasets.items import Item
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import DataError
from centernet_tf.properties import tracks
from centernet_tf.properties.fields import FIELDS, SHARED
from centernet_tf.properties.tracks import IDENTITY, Tracks

FRAMES = 4
TASK = {"fields": (*SHARED, *Tracks().fields, IDENTITY), "properties": (Tracks(),)}


def write(folder, split, **options):
    write_records(
        split.items,
        directory=folder,
        name="film",
        split="train",
        classes=split.classes,
        properties=split.properties,
        **options,
    )
    return open_dataset(folder)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Three videos of two to four objects, in two shards."""
    split = read(3, (64, 64), film=Film(frames=FRAMES, objects=(2, 4), kinds=("circle", "star"), visible=0.0))
    return write(tmp_path_factory.mktemp("film"), split, shards=2)


@pytest.fixture
def fresh():
    overall.told.cache_clear()
    yield
    overall.told.cache_clear()


def test_the_key_of_videos_is_that_of_records():
    assert tracks.VIDEO == VIDEO


def test_records_tell_how_many_there_are(film):
    found = film.overall("tracks").identities
    assert film.overall("nothing") is None
    truth = {}
    for item in read(
        3, (64, 64), film=Film(frames=FRAMES, objects=(2, 4), kinds=("circle", "star"), visible=0.0)
    ).items:
        for label, kind in zip(item.rows["track_ids"].tolist(), item.classes.tolist()):
            truth[item.video, label] = kind
    assert found.count == len(truth) and len({*found.labels}) == 3
    assert found.per_class == tuple([*truth.values()].count(kind) for kind in range(max(truth.values()) + 1))
    for place, (video, label) in enumerate(sorted(truth, key=lambda who: (truth[who], who))):
        assert found.of(video, np.array([label])).tolist() == [place]


def test_batches_of_training_have_the_numbers_and_those_of_validation_do_not(film):
    found = film.overall("tracks").identities
    feed = Feed((64, 64), max_objects=8, **TASK)
    seen, counts = set(), []
    still = Augmentation(crop=False, shift=0, scale=0)
    for _, rows in feed.training(film, 4, still).take(6).as_numpy_iterator():
        assert rows["identities"].shape == rows["valid"].shape and rows["identities"].dtype == np.int32
        assert (rows["identities"][~rows["valid"]] == -1).all()
        kept = rows["identities"][rows["valid"]]
        seen |= {*kept.tolist()}
        counts += [len(set(one[one >= 0])) == (one >= 0).sum() for one in rows["identities"]]
        kinds = rows["classes"][rows["valid"]]
        assert (np.searchsorted(found.starts, kept, "right") - 1 == kinds).all()
    assert seen == {*range(found.count)} and all(counts)
    for _, rows in feed.validation(film, 5).as_numpy_iterator():
        assert (rows["identities"] == -1).all() and (rows["track_ids"][rows["valid"]] >= 0).all()


def test_records_are_read_once_and_only_where_a_field_takes_it(film, fresh, monkeypatch):
    calls = []
    monkeypatch.setattr(overall, "images", lambda *given: calls.append(given) or iter(()))
    Feed((64, 64), fields=SHARED, properties=(Tracks(),)).training(film, 4, Augmentation())
    Feed((64, 64), fields=(FIELDS["boxes"], *Tracks().fields), properties=(Tracks(),)).training(film, 4, Augmentation())
    assert not calls
    film.overall("tracks")
    open_dataset(film.directory).overall("tracks")
    Feed((64, 64), **TASK).training(film, 4, Augmentation())
    assert len(calls) == 1
    other = dataclasses.replace(film, files=film.files[::-1])
    other.overall("tracks")
    assert len(calls) == 2


def test_numbers_depend_on_no_order_of_files(film):
    other = dataclasses.replace(film, files=film.files[::-1]).overall("tracks").identities
    found = film.overall("tracks").identities
    for video in ("0000", "0001", "0002"):
        np.testing.assert_array_equal(found.of(video, np.arange(9)), other.of(video, np.arange(9)))


def test_labels_of_single_images_are_for_all(tmp_path):
    pixels = np.zeros((32, 32, 3), np.uint8)
    boxes = np.array([[1, 1, 9, 9], [11, 11, 19, 19]], float)
    labels = ([5, 8], [8, -1], [-1, -1])
    items = [
        Item(f"{n}", n, pixels, f"{n}.png", boxes, [0, 0], rows={"track_ids": np.array(ids)})
        for n, ids in enumerate(labels)
    ]
    dataset = write(tmp_path, read(1, (32, 32))._replace(items=items, classes=("person",)))
    assert dataset.overall("tracks").identities.per_class == (2,)
    feed = Feed((32, 32), **TASK).training(dataset, 3, Augmentation(crop=False, shift=0, scale=0))
    _, rows = next(feed.as_numpy_iterator())
    assert sorted(map(tuple, rows["identities"][:, :2].tolist())) == [(-1, -1), (0, 1), (1, -1)]


def test_damage_is_told(film, tmp_path):
    path = tmp_path / "train-00000-of-00001.tfrecord"
    path.write_bytes(film.shards[0].read_bytes()[:-7])
    broken = dataclasses.replace(film, files=(Shard(path, 8, path.stat().st_size, sha256_of(path)),))
    with pytest.raises(DataError, match=r"a record cannot be read .* `centernet inspect"):
        broken.overall("tracks")
    wrong = dataclasses.replace(film, classes=("circle",))
    with pytest.raises(DataError, match=r"record \d+ is invalid .*`centernet inspect"):
        wrong.overall("tracks")
