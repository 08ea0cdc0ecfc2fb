"""Mutated files of settings through their readers: dataset.yaml, a run's YAML, skeletons and cameras."""

import re
from pathlib import Path

import numpy as np
import pytest

from centernet_tf.config import read_settings
from centernet_tf.data.dataset import open_dataset
from centernet_tf.errors import DataError, UsageError
from centernet_tf.properties.boxes3d.cameras import read_camera
from centernet_tf.properties.keypoints.skeleton import read_skeleton

CAMERA = "[[700, 0, 600, 45], [0, 710, 180, -0.5], [0, 0, 1, 0.004]]"
SKELETON = "keypoints: [nose, left_eye, right_eye]\nflip_pairs: [[left_eye, right_eye]]\nsigmas: {nose: 0.1}\n"
RECORDS = """name: made
split: train
classes: [cat, dog]
images: 2
objects: 3
objects_per_class: {cat: 1, dog: 2}
properties:
  keypoints: {skeleton: {keypoints: [nose, tail], flip_pairs: [], limbs: [[nose, tail]], sigmas: [0.1, 0.1]}}
  boxes3d: {}
report: {}
shards:
- {file: train-00000-of-00001.tfrecord, records: 2, bytes: 5, sha256: 00ff}
"""
RUN = """task: [detect, pose]
backbone: resnet18
classes: [cat, dog]
data: {train: records/train, size: [512, 512], mean: [0.1, 0.2, 0.3]}
augment: {crop: true, scale: 0.4}
loss: {weights: {size: 0.1}}
train: {epochs: 10, learning_rate: 1.0e-3, drop_epochs: [5, 8]}
pose: {classes: [cat]}
"""
READERS = {
    "dataset.yaml": (RECORDS, open_dataset),
    "run.yaml": (RUN, read_settings),
    "skeleton.yaml": (SKELETON, read_skeleton),
    "camera.yaml": (f"camera: {CAMERA}\n", read_camera),
    "camera.json": (f'{{"camera": {CAMERA}}}', read_camera),
    "camera.txt": ("P0: 1 0\nP2: 700 0 600 45 0 710 180 -0.5 0 0 1 0.004\nR0_rect: 1\n", read_camera),
}
WORDS = (
    *("nan", ".nan", ".inf", "-.inf", "1.0e+999", "1e39", "-1", "0", "9" * 400, "9" * 5000, "0x" + "f" * 5000, "1e308"),
    *(
        "",
        "~",
        "yes",
        "[]",
        "{}",
        "[[]]",
        "{a: 1}",
        "'",
        '"',
        "- a",
        "2001-99-99",
        "2001-01-01",
        "12:30:45",
        "!!bool x",
    ),
    *(
        "*a",
        "&a x",
        "&a [*a]",
        "<<: {a: 1}",
        "? [a]",
        "a: b: c",
        "[" * 500,
        "x" * 5000,
        '"\\0"',
        '"\\uD800"',
        "../..",
        "=",
        "%",
    ),
)


def mutate(text: str, random: np.random.Generator) -> bytes:
    """One to three words replaced, lines doubled or left out, and now and then bytes changed."""
    for _ in range(random.integers(1, 4)):
        kind, lines = random.integers(6), text.split("\n")
        if kind < 4:
            words = list(re.finditer(r"[\w.-]+", text))
            word = words[random.integers(len(words))] if words else re.search("", text)
            text = text[: word.start()] + WORDS[random.integers(len(WORDS))] + text[word.end() :]
        else:
            place = random.integers(len(lines))
            lines[place : place + 1] = [lines[place]] * (0 if kind == 4 else 2)
            text = "\n".join(lines)
    data = bytearray(text.encode())
    if random.random() < 0.15 and data:
        data[random.integers(len(data))] = random.integers(256)
    return bytes(data)


def run_all(cases: int, folder: Path) -> None:
    failures, accepted = [], 0
    (folder / "train-00000-of-00001.tfrecord").write_bytes(b"12345")
    for seed in range(cases // len(READERS)):
        for kind, (name, (text, read)) in enumerate(READERS.items()):
            path = folder / name
            path.write_bytes(mutate(text, np.random.default_rng([kind, seed])))
            try:
                found = read(path)
                accepted += 1
                assert read is not read_camera or np.isfinite(found).all(), found
            except (UsageError, DataError) as error:
                if len(str(error)) > 3000:
                    failures.append(f"{name} {seed}: a message of {len(str(error))} letters: {str(error)[:200]}")
            except Exception as error:
                failures.append(f"{name} {seed}: {type(error).__name__}: {str(error)[:300]}")
    assert not failures, f"{len(failures)} of {cases}:\n" + "\n".join(failures[:40])
    assert cases / 50 < accepted < cases


def test_some_mutations(tmp_path):
    run_all(120, tmp_path)


@pytest.mark.long
def test_thousands_of_mutations(tmp_path, most):
    run_all(min(10_000, most), tmp_path)
