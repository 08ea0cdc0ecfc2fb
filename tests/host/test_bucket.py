"""Buckets as records need them, in fsspec's memory; and addresses that nothing opens, told before any work."""

import sys
from pathlib import Path

import fsspec
import pytest

from centernet_tf.errors import UsageError
from centernet_tf.host.bucket import Bucket, as_place, put_text
from centernet_tf.host.files import write_text
from centernet_tf.host.reading import address_in, scheme_of


@pytest.fixture
def bucket(tmp_path):
    """An empty one of this test's own."""
    yield Bucket(f"memory://{tmp_path.name}/a")
    fsspec.filesystem("memory").store.clear()


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ("", Path()),
        ("a/b", Path("a/b")),
        ("C:/a", Path("C:/a")),
        ("C://a", Path("C://a")),
        ("file:///a/b%20c", Path("/a/b c")),
        ("s3://a/b/", Bucket("s3://a/b")),
        ("GS://a", Bucket("GS://a")),
        (Path("a"), Path("a")),
        (Bucket("s3://a"), Bucket("s3://a")),
    ],
)
def test_paths_and_addresses(given, place):
    assert as_place(given) == place


@pytest.mark.parametrize(
    ("text", "scheme", "cut"),
    [
        ("a/b:/c", "", ""),
        ("c:/a", "", ""),
        ("s3://a/b", "s3", "s3://a/b"),
        ("webcam:1", "", ""),
        ("./s3:/a", "", "s3://a"),
    ],
)
def test_what_is_an_address(text, scheme, cut):
    assert (scheme_of(text), address_in(Path(text))) == (scheme, cut)


def test_a_path_that_was_an_address_is_no_folder_called_s3(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"give addresses as text, 's3://a/b'"):
        as_place(Path("s3://a/b"))
    with pytest.raises(UsageError, match=r"s3://a/b\.json is in a bucket, where only records are written"):
        write_text("s3://a/b.json", "{}")
    assert not any(tmp_path.iterdir())


def test_files_and_folders(bucket, tmp_path):
    assert not bucket.exists() and not bucket.is_dir() and bucket.glob("*") == []
    put_text(bucket / "dataset.yaml", "é\n")
    put_text(bucket / "deep" / "dataset.yaml", "")
    put_text(bucket / "x.tfrecord", "x")
    assert bucket.is_dir() and not bucket.is_file() and (bucket / "x.tfrecord").is_file()
    assert (bucket / "dataset.yaml").read_bytes() == "é\n".encode()
    assert (bucket / "dataset.yaml").read_text() == "é\n"
    assert [one.name for one in bucket.glob("*")] == ["dataset.yaml", "x.tfrecord"]
    assert bucket.glob("*.tfrecord") == [bucket / "x.tfrecord"]
    assert bucket.glob("*/dataset.yaml") == [bucket / "deep/dataset.yaml"]
    assert (bucket / "deep/dataset.yaml").parent == bucket / "deep"
    (bucket / "x.tfrecord").fetch(tmp_path / "here")
    assert (tmp_path / "here").read_text() == "x"
    (bucket / "x.tfrecord").unlink()
    (bucket / "x.tfrecord").unlink(missing_ok=True)
    for missing in ((bucket / "x.tfrecord").unlink, (bucket / "x.tfrecord").read_bytes):
        with pytest.raises(FileNotFoundError):
            missing()


def test_what_arrives_cut_off_is_told(bucket, tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(bytes(100))
    memory = fsspec.filesystem("memory")
    monkeypatch.setattr(memory, "put_file", lambda source, target: memory.pipe_file(target, bytes(60)))
    with pytest.raises(OSError, match="60 of 100 bytes arrived"):
        (bucket / "a").put(tmp_path / "a")


def test_what_libraries_raise_comes_as_from_a_disk(bucket, monkeypatch):
    def fail(path):
        raise KeyError("no credentials")

    monkeypatch.setattr(fsspec.filesystem("memory"), "exists", fail)
    with pytest.raises(OSError, match="KeyError: 'no credentials'"):
        bucket.exists()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("nix://a/b", "nix://a/b: cannot be opened .*Protocol not known"),
        ("ftp://me:secret@host/b", r"ftp://\.\.\.@host: passwords in addresses"),
    ],
)
def test_addresses_that_nothing_opens(address, said):
    with pytest.raises(UsageError, match=said) as error:
        Bucket(address).check()
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("missing", "address", "said"),
    [
        ("fsspec", "s3://a/no-fsspec", r"buckets need fsspec\. pip install 'centernet_tf\[buckets\]'"),
        ("s3fs", "s3://a/no-s3fs", r"a package is missing .*pip install s3fs"),
        ("gcsfs", "gs://a/no-gcsfs", r"a package is missing .*gcsfs"),
    ],
)
def test_a_missing_package_is_named(monkeypatch, missing, address, said):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UsageError, match=said):
        Bucket(address).check()
