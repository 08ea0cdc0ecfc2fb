"""Timing that holds on a noisy machine: variants in turn, medians, processor time beside wall time, peak memory."""

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from centernet_tf.errors import out_of_memory

# What tells libraries how many threads to start: XLA's and JAX', oneDNN's and NumPy's, TensorFlow's.
THREADS = ("NPROC", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
KILLED = -9  # What a process that Linux ends where the memory is full returns.


def interleaved(
    variants: dict[str, Callable[[], Any]],
    rounds: int = 15,
    warm: int = 3,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Median time of each variant in milliseconds; all of them run once in every round.

    Args:
        variants: Calls that end when their work has ended.
        rounds: Counted runs of each.
        warm: Runs before, for compilation and caches.
        clock: In seconds: wall time, or `time.process_time`, that of all threads, however busy the machine is.
    """
    for variant in variants.values():
        for _ in range(warm):
            variant()
    times: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, variant in variants.items():
            began = clock()
            variant()
            times[name].append((clock() - began) * 1e3)
    return {name: float(np.median(values)) for name, values in times.items()}


def processor_time(work: Callable[[], Any], rounds: int = 5) -> float:
    """Median processor time of all threads in milliseconds: what one core would need, however busy the machine is."""
    times = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        times.append((time.process_time() - began) * 1e3)
    return float(np.median(times))


class PeakMemory:
    """Highest resident memory above the start within a `with` block, in MB, looked at every millisecond."""

    def __enter__(self) -> "PeakMemory":
        self.start = self.highest = _resident()
        self.running = True
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self.running = False
        self.thread.join()

    def _watch(self) -> None:
        while self.running:
            self.highest = max(self.highest, _resident())
            time.sleep(0.001)

    @property
    def megabytes(self) -> float:
        return (self.highest - self.start) / 1e6


def _resident() -> float:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # Not Linux: without psutil the highest so far is all there is.
        with contextlib.suppress(ImportError):
            import psutil

            return psutil.Process().memory_info().rss
        return highest_memory() * 1e6


def highest_memory() -> float:
    """Highest resident memory of this process so far in MB; NaN on Windows without psutil."""
    # Linux hands `ru_maxrss` on to programs that a process starts: a small one would tell the peak of a large parent.
    with contextlib.suppress(OSError):
        told = Path("/proc/self/status").read_text()
        if found := re.search(r"VmHWM:\s+(\d+) kB", told):
            return int(found[1]) * 1024 / 1e6
    try:
        import resource  # which Windows does not have
    except ImportError:
        with contextlib.suppress(ImportError, AttributeError):
            import psutil

            return psutil.Process().memory_info().peak_wset / 1e6
        return float("nan")
    # macOS counts bytes, others 1,024 of them.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def in_fresh_process(module: str, *arguments: str, cores: int = 0) -> dict[str, Any]:
    """Runs `python -m module arguments`, which prints JSON last, so that peaks of memory do not mix.

    Args:
        module: Its whole name.
        arguments: Its command line.
        cores: How many threads TensorFlow, JAX and oneDNN take there; 0 leaves it to them.

    Raises:
        MemoryError: The memory did not suffice: the program said so, or was killed.
        RuntimeError: It failed otherwise.
    """
    environment = os.environ | dict.fromkeys(THREADS, str(cores)) if cores else None
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if not done.returncode:
        return json.loads(done.stdout.strip().splitlines()[-1])
    failed = RuntimeError(f"{module} {' '.join(arguments)} failed:\n{done.stderr[-1500:]}")
    if done.returncode == KILLED or out_of_memory(failed) or "MemoryError" in str(failed):
        raise MemoryError(f"{module} {' '.join(arguments)}: out of memory")
    raise failed
