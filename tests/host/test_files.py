"""Whole files or none: what fails leaves the older file, what is no file stays what it is."""

import errno
import json
import os
import stat
import threading
from pathlib import Path

import pytest

from centernet_tf.errors import DataError
from centernet_tf.host.files import (
    clear_left_behind,
    telling,
    whole,
    whole_file,
    whole_folder,
    write_bytes,
    write_json,
    write_text,
)

LONG = "x" * 100_000


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("older", [None, "older"])
def test_a_file_comes_whole(older, tmp_path):
    path = tmp_path / "new" / "a.json"
    if older:
        write_text(path, older)
    write_json(path, {"name": "Größe", "values": []})
    assert path.read_text(encoding="utf-8") == '{\n  "name": "Größe",\n  "values": []\n}\n'
    assert names(path.parent) == ["a.json"]


def test_a_library_opens_the_temporary_file_itself(tmp_path):
    with whole(tmp_path / "a.keras") as place:
        assert place.suffix == ".keras" and place.parent == tmp_path and not (tmp_path / "a.keras").exists()
        place.write_bytes(b"1")
    assert names(tmp_path) == ["a.keras"]


@pytest.mark.parametrize("error", [RuntimeError("stopped"), KeyboardInterrupt()])
def test_what_stops_in_the_middle_leaves_the_older_file(error, tmp_path):
    write_text(tmp_path / "a", "older")
    with pytest.raises(type(error)), whole_file(tmp_path / "a") as file:
        file.write("half")
        raise error
    assert names(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "older"


@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_text(path, LONG),
        lambda path: write_bytes(path, LONG.encode()),
        lambda path: write_json(path, [LONG]),
    ],
)
def test_a_full_disk_is_told_and_leaves_the_older_file(write, tmp_path, small_disk):
    (tmp_path / "a").write_text("older")
    with (
        small_disk(20_000),
        pytest.raises(DataError, match=r"a: cannot be written \(File too large\)\. Free some space there"),
    ):
        write(tmp_path / "a")
    with small_disk(20_000), pytest.raises(DataError, match="File too large"):
        write(tmp_path / "b")
    assert names(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "older"


def test_places_that_cannot_be(tmp_path):
    (tmp_path / "a").write_text("older")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match=r"cannot be written \((Not a directory|File exists)\)"):
        write_text(tmp_path / "a" / "b", "x")
    with pytest.raises(DataError, match=r"folder: cannot be written .*directory"):
        write_text(tmp_path / "folder", "x")
    assert names(tmp_path) == ["a", "folder"]


def test_long_names(tmp_path):
    path = tmp_path / ("ä" * 125 + ".json")
    write_text(path, "x")
    assert names(tmp_path) == [path.name]


def test_a_device_stays_a_device(tmp_path):
    (tmp_path / "null").symlink_to("/dev/null")
    # By the link first: it alone is replaced where this does not hold.
    for path in (tmp_path / "null", Path("/dev/null")):
        write_text(path, "x")
        assert stat.S_ISCHR(path.stat().st_mode)
    assert (tmp_path / "null").is_symlink()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_device_is_told_and_stays(tmp_path):
    before = Path("/dev/full").stat()
    (tmp_path / "full").symlink_to("/dev/full")
    for path in (tmp_path / "full", Path("/dev/full")):
        with pytest.raises(DataError, match=rf"{path}: cannot be written \(No space left on device\)\. Free"):
            write_text(path, LONG)
        assert path.stat().st_rdev == before.st_rdev


def test_what_is_synced_is_open_for_writing(tmp_path, monkeypatch):
    """As Windows wants it."""
    fcntl, modes = pytest.importorskip("fcntl"), []
    monkeypatch.setattr(os, "fsync", lambda file: modes.append(fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE))
    write_text(tmp_path / "a", "x")
    assert modes == [os.O_RDWR]


def test_a_pipe_gets_what_is_written(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    found = []
    reader = threading.Thread(target=lambda: found.append((tmp_path / "pipe").read_text()))
    reader.start()
    write_text(tmp_path / "pipe", LONG)
    reader.join(10)
    assert found == [LONG] and stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="of Linux")
def test_an_open_file_is_added_to(tmp_path):
    """As /dev/stdout is where the output goes to a file."""
    with (tmp_path / "a").open("w") as file:
        file.write("first\n")
        file.flush()
        (tmp_path / "link").symlink_to(f"/proc/self/fd/{file.fileno()}")
        write_text(f"/dev/fd/{file.fileno()}", "second\n")
        write_text(tmp_path / "link", "third\n")
    assert (tmp_path / "a").read_text() == "first\nsecond\nthird\n"
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("target", ["treasure", "missing"])
def test_nothing_is_written_through_a_link(target, tmp_path):
    (tmp_path / "treasure").write_text("older")
    (tmp_path / "link").symlink_to(tmp_path / target)
    write_text(tmp_path / "link", "new")
    assert not (tmp_path / "link").is_symlink() and (tmp_path / "link").read_text() == "new"
    assert names(tmp_path) == ["link", "treasure"] and (tmp_path / "treasure").read_text() == "older"


@pytest.mark.parametrize("exists", [False, True])
def test_files_of_a_folder_come_together(exists, tmp_path):
    if exists:
        write_text(tmp_path / "out" / "other", "stays")
        write_text(tmp_path / "out" / "a", "older")
    with whole_folder(tmp_path / "out") as place:
        write_text(place / "a", "new")
        write_text(place / "below" / "b", "new")
        assert [path.read_text() for path in tmp_path.glob("out/a")] == ["older"] * exists
    assert names(tmp_path) == ["out"] and names(tmp_path / "out") == ["a", "below"] + ["other"] * exists
    assert (tmp_path / "out" / "a").read_text() == (tmp_path / "out" / "below" / "b").read_text() == "new"


@pytest.mark.parametrize("exists", [False, True])
def test_a_folder_that_does_not_fit_leaves_nothing(exists, tmp_path, small_disk):
    if exists:
        write_text(tmp_path / "out" / "a", "older")
    with (
        small_disk(20_000),
        pytest.raises(DataError, match="File too large"),
        whole_folder(tmp_path / "out") as place,
    ):
        (place / "a").write_text("new")
        (place / "b").write_text(LONG)
    assert names(tmp_path) == ["out"] * exists
    if exists:
        assert names(tmp_path / "out") == ["a"] and (tmp_path / "out" / "a").read_text() == "older"


def test_errors_of_other_files_are_not_told_as_this_ones(tmp_path):
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "a"):
        (tmp_path / "input").read_text()
    with pytest.raises(DataError), telling(tmp_path):
        raise OSError(errno.EIO, "Input/output error")
    assert names(tmp_path) == []


def test_what_killed_runs_left_behind_is_cleared(tmp_path):
    with whole(tmp_path / "a.json") as file, whole_folder(tmp_path / "b") as folder:
        file.write_text("{}")
        (folder / "c").write_text("half")
        left = {path.name: path.is_dir() for path in tmp_path.iterdir()}
    assert len(left) == 2 and names(tmp_path) == ["a.json", "b"]
    for name, is_folder in left.items():
        (tmp_path / name / "c").mkdir(parents=True) if is_folder else (tmp_path / name).write_text("half")
    clear_left_behind(tmp_path)
    assert names(tmp_path) == ["a.json", "b"] and json.loads((tmp_path / "a.json").read_text()) == {}
