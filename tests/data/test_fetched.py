"""Records of a bucket are those of a folder, batch for batch, and what was damaged there or on its way is told."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import fsspec
import numpy as np
import pytest
import tensorflow as tf

from centernet_tf.data import fetched
from centernet_tf.data.augment import Augmentation
from centernet_tf.data.dataset import iterate, open_dataset, verify_checksums
from centernet_tf.data.pipeline import Feed
from centernet_tf.errors import DataError, UsageError
from centernet_tf.host.bucket import Bucket
from centernet_tf.inspect import inspect_records


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Where copies are kept, of this test alone."""
    monkeypatch.setenv(fetched.FOLDER, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def bucket(shapes_train, cache):
    """The records of `shapes_train` in memory."""
    place = Bucket(f"memory://{cache.parent.name}/shapes/train")
    for file in shapes_train.directory.iterdir():
        (place / file.name).put(file)
    yield place
    fsspec.filesystem("memory").store.clear()


def copies(cache):
    return sorted(path.name for path in cache.rglob("*") if path.is_file())


def test_batches_are_those_of_a_folder(bucket, shapes_train):
    records = open_dataset(str(bucket))
    assert str(records.directory) == str(bucket)
    assert [str(shard.place) for shard in records.files] == [f"{bucket}/{path.name}" for path in shapes_train.shards]
    assert [one.image for one in iterate(records)] == [one.image for one in iterate(shapes_train)]
    feed = Feed((64, 64), shuffle=8)
    ours, theirs = (feed.training(one, 4, Augmentation(), step=5).take(4) for one in (records, shapes_train))
    for batch, other in zip(ours, theirs, strict=True):
        for value, wanted in zip(tf.nest.flatten(batch), tf.nest.flatten(other), strict=True):
            np.testing.assert_array_equal(value, wanted)


def test_shards_are_fetched_once(bucket, cache, monkeypatch):
    first = open_dataset(f"{bucket}/dataset.yaml")
    assert copies(cache) == [path.name for path in first.shards]
    monkeypatch.setattr(Bucket, "fetch", lambda *_: pytest.fail("fetched again"))
    assert open_dataset(str(bucket)) == first
    verify_checksums(first)


def test_a_copy_that_was_cut_off_is_fetched_again(bucket, cache):
    first = open_dataset(str(bucket))
    first.shards[0].write_bytes(b"cut")
    verify_checksums(open_dataset(str(bucket)))


def test_records_that_were_written_again_are_not_taken_for_the_old(bucket, shapes_val):
    old = open_dataset(str(bucket))
    for file in shapes_val.directory.iterdir():
        (bucket / file.name).put(file)
    new = open_dataset(str(bucket))
    assert [one.image for one in iterate(new)] == [one.image for one in iterate(shapes_val)]
    assert len(list(iterate(old))) == 24


def changed(content):
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize(
    ("damage", "said", "found"),
    [
        (None, "this shard is missing", "truncated_shard"),
        (lambda content: content[:-7], r"cut off in record 12 of 12", "truncated_shard"),
        (changed, "has changed since it was written, or on its way here", "checksum"),
    ],
)
def test_damage_is_told_by_the_address(bucket, damage, said, found):
    shard = bucket / "train-00001-of-00002.tfrecord"
    content = shard.read_bytes()
    shard.unlink()
    if damage:
        fsspec.filesystem("memory").pipe_file(str(shard).removeprefix("memory:/"), damage(content))
    with pytest.raises(DataError, match=f"{shard}: .*{said}"):
        open_dataset(str(bucket))
    report = inspect_records(str(bucket), decode=False)
    assert found in {finding.code for finding in report.findings}
    assert "cache" not in " ".join(example for finding in report.findings for example in finding.examples)


def test_a_bucket_that_does_not_answer(bucket, monkeypatch):
    def fail(*_, **__):
        raise ConnectionError("no route")

    monkeypatch.setattr(fsspec.filesystem("memory"), "get_file", fail)
    with pytest.raises(DataError, match=rf"{bucket}/train-.*: cannot be fetched \(no route\)"):
        open_dataset(str(bucket))
    monkeypatch.setattr(fsspec.filesystem("memory"), "isfile", fail)
    with pytest.raises(DataError, match=rf"{bucket}/dataset\.yaml: cannot be read \(no route\)"):
        open_dataset(str(bucket))


def test_no_records_there(bucket):
    with pytest.raises(UsageError, match=r"no dataset\.yaml here, but in train below it"):
        open_dataset(str(bucket.parent))
    with pytest.raises(UsageError, match="no such directory of records"):
        open_dataset(f"{bucket}/nothing")
    (bucket / "dataset.yaml").unlink()
    with pytest.raises(UsageError, match="writing was interrupted"):
        open_dataset(str(bucket))


def test_a_disk_without_room_is_told_before_anything_is_fetched(bucket, cache, monkeypatch):
    usage = shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DataError, match=r"its shards take 0\.0 GB .*CENTERNET_CACHE"):
        open_dataset(str(bucket))
    assert copies(cache) == []


def test_a_hash_that_leads_elsewhere_is_none(bucket):
    with pytest.raises(DataError, match=r"a SHA-256 in its dataset\.yaml is none"):
        fetched.fetched([(bucket / "a", 1, f"../{61 * 'a'}")])


PROGRAM = """
import os, signal, sys
from pathlib import Path
from centernet_tf.data import fetched
print(fetched._folder(), flush=True)
if sys.argv[1] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_without_a_folder_copies_go_with_the_process(tmp_path):
    def run(how):
        variables = {name: value for name, value in os.environ.items() if name != fetched.FOLDER}
        variables |= {"TMPDIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])}
        command = [sys.executable, "-c", PROGRAM, how]
        return Path(subprocess.run(command, capture_output=True, text=True, env=variables).stdout.strip())

    killed = run("killed")
    assert killed.parent == tmp_path and killed.is_dir()
    ended = run("ended")  # which clears what the other left
    assert ended != killed and list(tmp_path.iterdir()) == []
