"""Masks in TFRecords of other programs: a PNG for each object, and nothing else."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from centernet_tf.cli import main
from centernet_tf.data.dataset import iterate, open_dataset
from centernet_tf.data.pipeline import Feed
from centernet_tf.datasets.drawn import masked_shapes
from centernet_tf.datasets.drawn.shapes import CLASSES, Scene
from centernet_tf.datasets.foreign import index
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import DataError
from centernet_tf.properties.fields import SHARED
from centernet_tf.properties.masks import Masks
from centernet_tf.properties.masks.records import KEYS, PNG

MASKS = next(field for field in Masks().fields if field.name == "masks")


@pytest.fixture
def ours(tmp_path):
    data = masked_shapes.read(3, (64, 80), seed=1, scene=Scene(objects=(2, 3)))
    folder = tmp_path / "ours" / "train"
    write_records(data.items, directory=folder, name="a", split="train", classes=CLASSES, properties=data.properties)
    return open_dataset(folder)


def rewritten(dataset, folder, change=lambda pngs: pngs):
    """The records as TFOD's scripts write masks: grey of 8 bits, 0 and 1."""
    folder.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(folder / "train.record-00000-of-00001")) as writer:
        for serialized in tf.data.TFRecordDataset([str(path) for path in dataset.shards]).as_numpy_iterator():
            example = tf.train.Example.FromString(serialized)
            features = example.features.feature
            pngs = [grey(one) for one in features[PNG].bytes_list.value]
            for key in KEYS:
                del features[key]
            features[PNG].bytes_list.value.extend(change(pngs))
            writer.write(example.SerializeToString())
    return folder


def grey(data):
    stream = io.BytesIO()
    Image.fromarray(np.asarray(Image.open(io.BytesIO(data))).astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def test_masks_are_read_where_they_are_wanted(ours, tmp_path, capsys):
    folder = rewritten(ours, tmp_path / "theirs" / "train")
    with pytest.raises(SystemExit) as ended:
        main(["records", "index", str(folder), "--labels", ",".join(CLASSES), "--masks"])
    assert not ended.value.code
    assert f"{ours.objects} masks." in capsys.readouterr().out
    theirs = open_dataset(folder)
    assert theirs.properties == ours.properties
    for one, other in zip(iterate(ours), iterate(theirs), strict=True):
        np.testing.assert_array_equal(one.rows["masks"], other.rows["masks"])
        assert one.rows["segmentations"].tolist() == other.rows["segmentations"].tolist()
    first, second = (
        next(iter(Feed((64, 64), fields=(*SHARED, MASKS), properties=one.properties).validation(one, 3)))[1]
        for one in (ours, theirs)
    )
    np.testing.assert_array_equal(first["masks"], second["masks"])
    assert first["masks"].numpy().any()


def test_masks_are_left_alone_where_they_are_not(ours, tmp_path):
    folder = rewritten(ours, tmp_path / "theirs" / "train", lambda pngs: pngs[1:])
    index(folder, CLASSES)
    assert open_dataset(folder).properties == ()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda pngs: pngs[1:], "holds [12] masks for [23] boxes"),
        (lambda pngs: [b"no png", *pngs[1:]], "of object 1: it is no image that can be read"),
        (lambda pngs: [*pngs[1:], grey_of(80, 63)], "it has 80 x 63 pixels, its image 80 x 64"),
    ],
)
def test_masks_that_do_not_fit_are_named(ours, tmp_path, change, text):
    folder = rewritten(ours, tmp_path / "theirs" / "train", change)
    with pytest.raises(DataError, match=f"record 1: .*{text}"):
        index(folder, CLASSES, properties=(Masks(),))


def grey_of(width, height):
    stream = io.BytesIO()
    Image.new("L", (width, height)).save(stream, "PNG")
    return stream.getvalue()
