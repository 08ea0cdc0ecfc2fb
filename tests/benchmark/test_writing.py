"""The table of writing records has a row for each way that is installed, and all processes in its memory."""

import importlib.util
import os
import subprocess
import sys
import time

import pytest

from centernet_tf.benchmark import writing
from centernet_tf.errors import UsageError

if sys.platform != "linux":
    pytest.skip("Linux alone tells the memory of a session", allow_module_level=True)


@pytest.mark.parametrize("word", ["many", "0", "-3"])
def test_numbers_of_images_are_numbers(word):
    with pytest.raises(UsageError, match="expected numbers of images"):
        writing.measure([word])


def test_memory_is_that_of_all_processes_of_a_session():
    hold = "import time; held = b'x' * 50_000_000; time.sleep(60)"
    shell = subprocess.Popen(["sh", "-c", f'{sys.executable} -c "{hold}" & wait'], start_new_session=True)
    try:
        end = time.monotonic() + 30
        while (found := writing._memory_of_session(shell.pid)) < 50 and time.monotonic() < end:
            time.sleep(0.05)
        assert 50 < found < 150 and writing._memory_of_session(os.getpid() + 10**7) == 0
    finally:
        os.killpg(shell.pid, 9)
        shell.wait()


@pytest.mark.long
def test_rows_of_what_is_installed(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    ((runner, images, speed, busy, memory),) = writing.measure(["8"])
    assert (runner, images) == ("direct", "8")
    assert float(speed) > 0 and float(busy) > 0 and float(memory) > 0
