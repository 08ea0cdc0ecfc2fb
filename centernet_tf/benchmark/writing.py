"""Writing records by threads and by processes of Apache Beam: images a second, and the memory of all processes."""

import contextlib
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from centernet_tf.errors import UsageError

COUNT = 10_000
SIZE = 64  # pixels
WORKERS = 2
_EVERY = 1.0  # seconds between two looks at the memory, of which each costs some


def measure(words: Sequence[str] = ()) -> list[tuple[str, ...]]:
    """Rows of (runner, images, images a second, processor seconds, peak MB); words are numbers of images.

    Without Apache Beam, rows of threads alone.
    """
    if bad := [word for word in words if not word.isdecimal() or not int(word)]:
        raise UsageError(f"writing {bad[0]!r}: expected numbers of images, such as {COUNT}.")
    runners = ["direct"] + ["beam"] * (importlib.util.find_spec("apache_beam") is not None)
    counts = [int(word) for word in words] or [COUNT]
    return [(runner, f"{count:,}", *_row(runner, count)) for count in counts for runner in runners]


def _row(runner: str, count: int) -> tuple[str, str, str]:
    before = os.times()
    seconds, memory = _run(runner, count)
    after = os.times()
    busy = after.children_user + after.children_system - before.children_user - before.children_system
    return f"{count / seconds:.0f}", f"{busy:.0f}", f"{memory:.0f}"


def _run(runner: str, count: int) -> tuple[float, float]:
    """Seconds that the program takes, its start included, and peak MB of it and all processes that it starts."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "centernet_tf", "records", "shapes", "--count", str(count)]
        command += ["--size", str(SIZE), "--workers", str(WORKERS), "--runner", runner, "--out", folder]
        began, highest = time.perf_counter(), 0.0
        program = subprocess.Popen(
            command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while program.poll() is None:
            highest = max(highest, _memory_of_session(program.pid))
            time.sleep(_EVERY)
        if program.returncode:
            raise RuntimeError(f"{' '.join(command)} failed")
        return time.perf_counter() - began, highest


def _memory_of_session(session: int) -> float:
    """MB of all processes of a session; what several share counts once. Linux alone tells it."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int((folder / "stat").read_text().rpartition(")")[2].split()[3]) == session:
                total += int(re.search(r"Pss:\s+(\d+) kB", (folder / "smaps_rollup").read_text())[1])
    return total * 1024 / 1e6
