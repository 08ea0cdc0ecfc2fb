"""Records written to a bucket are those of a folder, and what breaks off on the way leaves nothing that looks whole."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest

from centernet_tf.data.dataset import iterate, open_dataset, verify_checksums
from centernet_tf.datasets.drawn import shapes
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import DataError, UsageError
from centernet_tf.host.bucket import Bucket


@pytest.fixture
def memory(tmp_path):
    """A bucket of this test's own."""
    yield Bucket(f"memory://{tmp_path.name}/train")
    fsspec.filesystem("memory").store.clear()


def write(place, count=6, split="train", **options):
    classes, items, _ = shapes.read(count, (64, 64))
    return write_records(items, directory=place, name="shapes", split=split, classes=classes, **options)


def contents(place):
    return {one.name: one.read_bytes() for one in place.glob("*") if not one.name.startswith(".")}


def iter_fails():
    pytest.fail("an image was read")
    yield


@pytest.mark.parametrize("shards", [None, 1, 3])
def test_bytes_are_those_of_a_folder(shards, memory, tmp_path):
    assert write(str(memory), shards=shards) == write(tmp_path / "train", shards=shards)
    assert contents(memory) == contents(tmp_path / "train")
    assert memory.glob(".*") == []


def test_rewriting_leaves_no_old_shard(memory):
    write(memory, shards=4)
    write(memory, 3, shards=1)
    assert sorted(contents(memory)) == ["dataset.yaml", "train-00000-of-00001.tfrecord"]
    assert len(list(iterate(open_dataset(memory)))) == 3


def test_what_is_not_ours_stays(memory):
    (foreign := memory / "train-00000-of-00007.tfrecord").put(Path(__file__))
    with pytest.raises(UsageError, match=r"holds train-00000-of-00007\.tfrecord, which no dataset\.yaml lists"):
        write(memory)
    foreign.unlink()
    write(memory)
    with pytest.raises(UsageError, match="which is not of split 'val'"):
        write(memory, split="val")
    with pytest.raises(UsageError, match="is a file; give a directory"):
        write(memory / "dataset.yaml")


def test_an_address_that_nothing_opens_costs_no_image():
    with pytest.raises(UsageError, match="Protocol not known: nix"):
        write_records(iter_fails(), directory="nix://a/train", name="a", split="train", classes=("a",))


def test_missing_rights_cost_no_image(memory, monkeypatch):
    def fail(*_):
        raise PermissionError("403")

    monkeypatch.setattr(Bucket, "put", fail)
    with pytest.raises(DataError, match=r"the records cannot be written \(403\)"):
        write_records(iter_fails(), directory=memory, name="a", split="train", classes=("a",))


@pytest.mark.parametrize("broken", ["train-00001-of-00003.tfrecord", "dataset.yaml"])
def test_an_upload_that_fails_leaves_no_half_data_set(broken, memory, tmp_path, monkeypatch):
    write(memory, 2, shards=1)
    put = Bucket.put

    def fail(place, source):
        if place.name == broken:
            raise ConnectionError("no route")
        put(place, source)

    with monkeypatch.context() as patched:
        patched.setattr(Bucket, "put", fail)
        with pytest.raises(DataError, match=rf"{memory}: the records cannot be written \(no route\)"):
            write(memory, shards=3)
    with pytest.raises(UsageError, match="writing was interrupted"):
        open_dataset(memory)
    write(memory, shards=3)
    write(tmp_path / "train", shards=3)
    assert contents(memory) == contents(tmp_path / "train")


def test_a_conversion_that_fails_keeps_the_old_records(memory):
    write(memory)
    before = contents(memory)
    with pytest.raises(UsageError, match="shards is 9, more than the 6 images"):
        write(memory, shards=9)
    assert contents(memory) == before


KILLED = """
import os, signal, sys
from centernet_tf.datasets.drawn import shapes
from centernet_tf.datasets.writer import write_records
from centernet_tf.host.bucket import Bucket

put = Bucket.put

def stop(place, source):
    if place.name == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)
    put(place, source)

Bucket.put = stop
classes, items, _ = shapes.read(6, (64, 64))
write_records(items, directory=sys.argv[1], name="shapes", split="train", classes=classes, shards=3)
"""


@pytest.mark.long
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("last", [".naming.json", "train-00000-of-00003.tfrecord", "dataset.yaml"])
def test_a_killed_upload_is_done_again(last, tmp_path):
    bucket = Bucket(f"local://{tmp_path}/bucket/train")  # fsspec's own way to a disk, which two processes share
    variables = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "TMPDIR": str(tmp_path)}
    killed = subprocess.run([sys.executable, "-c", KILLED, str(bucket), last], env=variables, capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    with pytest.raises(UsageError):
        open_dataset(bucket)
    write(bucket, shards=3)
    write(tmp_path / "train", shards=3)
    assert contents(bucket) == contents(tmp_path / "train")
    verify_checksums(open_dataset(bucket))
