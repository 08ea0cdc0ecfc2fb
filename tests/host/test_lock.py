"""A folder is one program's at a time, and a dead program holds nothing."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from centernet_tf.errors import DataError, UsageError
from centernet_tf.host.lock import LOCK_FILE, locked

HOLDER = """
import sys, time
from pathlib import Path
from centernet_tf.host.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_one_is_told_who_holds_it(tmp_path):
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        said = rf"at work in this folder \(process {holder.pid} on {socket.gethostname()}, since \d{{4}}-.*\)\. Wait"
        for _ in range(2):  # Whoever was refused has changed nothing.
            with pytest.raises(UsageError, match=said), locked(tmp_path):
                raise AssertionError("two hold one folder")
        holder.send_signal(signal.SIGKILL)
    assert str(holder.pid) in (tmp_path / LOCK_FILE).read_text()
    with locked(tmp_path):
        assert f"process {os.getpid()} on" in (tmp_path / LOCK_FILE).read_text()
    assert list(tmp_path.iterdir()) == []


def test_not_twice_in_one_program_either(tmp_path):
    with locked(tmp_path / "new" / "folder"):
        with pytest.raises(UsageError, match="at work"), locked(tmp_path / "new" / "folder"):
            raise AssertionError("two hold one folder")
        with locked(tmp_path / "new"):
            pass
    with locked(tmp_path / "new" / "folder"):
        pass


def test_never_two_at_a_time(tmp_path):
    """Many who take and leave it at once, so that one opens the file that another removes."""
    inside, most, done = [], [], []

    def work():
        while len(done) < 100:
            try:
                with locked(tmp_path):
                    inside.append(1)
                    time.sleep(1e-4)  # lets the others try
                    most.append(len(inside))
                    inside.pop()
                    done.append(1)
            except UsageError:
                pass

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most) == {1} and list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="file"), locked(tmp_path / "file"):
        pass


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "treasure").write_text("older")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / LOCK_FILE).symlink_to(tmp_path / "treasure")
    with pytest.raises(DataError, match="folder"), locked(tmp_path / "folder"):
        pass
    assert (tmp_path / "treasure").read_text() == "older"


def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch):
    def none(file):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("centernet_tf.host.lock._lock", none)
    with pytest.warns(UserWarning, match="knows no locks"), locked(tmp_path):
        pass
