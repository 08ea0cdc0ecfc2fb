"""Damaged records through all that reads them: iterating, inspecting, training. Two kinds of errors, sound numbers."""

import functools
import io
import warnings
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from centernet_tf.data.augment import Augmentation
from centernet_tf.data.damage import reading
from centernet_tf.data.dataset import Dataset, Shard, iterate, save_dataset
from centernet_tf.data.pipeline import Feed
from centernet_tf.data.record import Record
from centernet_tf.data.serialize import serialize
from centernet_tf.errors import DataError, UsageError
from centernet_tf.inspect.survey import inspect_records
from centernet_tf.properties.boxes3d import Boxes3d
from centernet_tf.properties.fields import SHARED
from centernet_tf.properties.keypoints import Keypoints
from centernet_tf.properties.keypoints.skeleton import Skeleton

PROPERTIES = (Keypoints(skeleton=Skeleton(keypoints=("nose", "left", "right"))), Boxes3d())
CLASSES = ("cat", "dog")
FLOATS = (np.nan, np.inf, -np.inf, 1e30, -1e30, 3.4e38, 1e-45, 0.0, -0.5, 2.0, 8.41)
INTEGERS = (-(2**63), 2**63 - 1, -(2**31), 2**31, -1, 0, 1, 3, 99, 2**53 + 1)
TEXTS = (b"", b"\xff\xfe", b"a\0b", b"x" * 10_000, b"dog", b"[/red]", "\u2028".encode(), b"../x", b"17", b"9" * 400)


def png(width: int = 64, height: int = 48, kind: str = "png") -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (width, height), (90, 30, 60)).save(stream, kind)
    return stream.getvalue()


@functools.cache
def sound(image_id: int) -> bytes:
    """A record of three objects: with all properties, ignored, and over the edge."""
    boxes = np.float32([[4, 5, 24, 35], [30, 5, 50, 35], [40, 10, 64, 48]])
    columns = {"alphas": [0.1, 0.2, 0.0], "rotations": [0.3, 0.4, 0.0], "depths": [10, 11, 0]}
    columns |= {"dimensions": [[1, 2, 3]] * 3, "locations": [[1, 2, 10], [1, 2, 11], [0, 0, 0]]}
    rows = {"camera": [[700, 0, 32, 0], [0, 700, 24, 0], [0, 0, 1, 0]], "has_box3d": [True, True, False], **columns}
    rows |= {"truncated": [0, 0.5, 1], "occluded": [0, 1, 3]}
    rows |= {"keypoints": np.full((3, 3, 2), 20.0), "keypoint_labels": [[2, 1, 0]] * 3}
    record = Record(
        image=png(kind="png" if image_id % 2 else "jpeg"),
        format="png" if image_id % 2 else "jpeg",
        width=64,
        height=48,
        image_id=image_id,
        filename="a.png",
        boxes=boxes,
        full_boxes=boxes + np.float32([0, 0, 9, 9]) * [[0], [0], [1]],
        classes=np.array([0, 1, -1]),
        crowd=np.array([False, True, False]),
        difficult=np.array([True, False, False]),
        area=np.float32([600, 600, 900]),
        ignored=np.array([False, False, True]),
        rows=rows,
    )
    return serialize(record, CLASSES, PROPERTIES)


def damage_feature(serialized: bytes, random: np.random.Generator) -> bytes:
    """One or two lists removed, of another length, of another type or with other values."""
    example = tf.train.Example.FromString(serialized)
    features = example.features.feature
    for _ in range(random.integers(1, 3)):
        key = sorted(features)[random.integers(len(features))]
        kind, values = {"float": "float_list", "int": "int64_list", "bytes": "bytes_list"}, None
        name = features[key].WhichOneof("kind") or "float_list"
        values = list(getattr(features[key], name).value)
        change = random.integers(7)
        if change == 0:
            del features[key]
            continue
        if change == 1:
            values = values[:-1] if random.random() < 0.5 else values + values
        elif change == 2:
            name = list(kind.values())[random.integers(3)]
            values = [draw_value(name, random) for _ in range(len(values) or 1)]
        elif change == 3 and name == "bytes_list" and values:
            values[0] = damage_bytes(values[0], random)
        elif values:
            values[random.integers(len(values))] = draw_value(name, random)
        features[key].Clear()
        getattr(features[key], name).value.extend(values)
    return example.SerializeToString()


def draw_value(name: str, random: np.random.Generator):
    choices = {"float_list": FLOATS, "int64_list": INTEGERS, "bytes_list": (*TEXTS, png(8, 9), png(64, 48, "gif"))}[
        name
    ]
    return choices[random.integers(len(choices))]


def damage_bytes(data: bytes, random: np.random.Generator) -> bytes:
    """Bits turned, bytes cut off, left out or put in."""
    changed = bytearray(data)
    if random.random() < 0.3:
        return data[: random.integers(len(data) + 1)]
    for place in random.integers(0, max(len(data), 1), random.integers(1, 6)) if data else ():
        changed[place] ^= 1 << random.integers(8)
    start = int(random.integers(len(data) + 1))
    if random.random() < 0.3:
        changed[start : start + int(random.integers(9))] = random.bytes(int(random.integers(9)))
    return bytes(changed)


def damaged_shard(path: Path, random: np.random.Generator) -> None:
    """Writes a shard of a damaged record and a sound one; now and then the file itself is damaged."""
    kind = random.random()
    first = (
        damage_feature(sound(1), random) if kind < 0.8 else damage_bytes(sound(1), random) if kind < 0.95 else sound(1)
    )
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(first)
        writer.write(sound(2))
    if kind >= 0.95:
        path.write_bytes(damage_bytes(path.read_bytes(), random))


class Readers:
    """All that reads records, of one shard that is written anew for each case; graphs are traced once."""

    def __init__(self, folder: Path, warps: tuple[bool, ...]) -> None:
        self.path = folder / "train-00000-of-00001.tfrecord"
        with tf.io.TFRecordWriter(str(self.path)) as writer:
            writer.write(sound(1))
            writer.write(sound(2))
        shard = Shard(self.path, 2, self.path.stat().st_size, "0" * 64)
        self.dataset = Dataset(folder, "hostile", "train", CLASSES, 2, 6, {}, (shard,), {}, PROPERTIES)
        save_dataset(self.dataset)
        fields = (*SHARED, *(field for one in PROPERTIES for field in one.fields))
        augment = Augmentation(jitter_probability=0.5)
        self.streams = [
            Feed((64, 64), fields=fields, properties=PROPERTIES, workers=1, device_warp=warp).training(
                self.dataset, 1, augment
            )
            for warp in warps
        ]

    def iterate(self) -> None:
        for record in iterate(self.dataset):
            for name, values in record.truth().items():
                assert name == "names" or np.isfinite(np.asarray(values, float)).all(), (name, values)

    def inspect(self) -> None:
        inspect_records(self.dataset.directory, size=(64, 64)).to_json()

    def train(self) -> None:
        self.streams.reverse()  # starting one takes longest, so they take turns
        with reading(self.dataset.directory):
            for _, (inputs, rows) in zip(range(2), self.streams[0].as_numpy_iterator()):
                for name, values in {**inputs, **rows}.items():
                    assert np.isfinite(np.asarray(values, float)).all(), (name, values)


def run_all(cases: int, folder: Path, warps: tuple[bool, ...] = (False,)) -> None:
    readers, failures, refused = Readers(folder, warps), [], dict.fromkeys(("iterate", "inspect", "train"), 0)
    for seed in range(cases):
        damaged_shard(readers.path, np.random.default_rng([5, seed]))
        for name in refused:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error", RuntimeWarning)
                    getattr(readers, name)()
            except (DataError, UsageError):
                refused[name] += 1
            except Exception as error:
                failures.append(f"{name} {seed}: {type(error).__name__}: {str(error)[:300]}")
    assert not failures, f"{len(failures)} of {cases}:\n" + "\n".join(failures[:40])
    assert cases / 5 < refused["iterate"] < cases and cases / 5 < refused["train"] < cases and not refused["inspect"]


def test_some_damaged_records(tmp_path):
    run_all(8, tmp_path)


@pytest.mark.long
def test_a_thousand_damaged_records(tmp_path, most):
    run_all(min(1000, most), tmp_path, warps=(False, True))
