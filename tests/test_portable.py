"""What Linux has and Windows does not is not needed to import anything."""

import ast
import builtins
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from centernet_tf.benchmark import timing

ROOT = Path(__file__).parents[1] / "centernet_tf"
FILES = sorted(ROOT.rglob("*.py"))
MODULES = {"curses", "fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
# Names of os and signal that only some systems have.
NAMES = {"fork", "geteuid", "getuid", "mkfifo", "sched_getaffinity", "uname", "O_NOFOLLOW", "SIGALRM", "SIGKILL"}


def loaded_everywhere(text: str) -> set[str]:
    """Modules that a file imports whenever it is imported, outside of any condition."""
    found = set()
    for node in ast.parse(text).body:
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


def names_of_some_systems(text: str) -> set[str]:
    """os.uname and the like, written as attributes; getattr with a default is another way."""
    nodes = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute))
    return {node.attr for node in nodes if getattr(node.value, "id", "") in ("os", "signal")} & NAMES


def test_no_file_needs_what_windows_does_not_have():
    texts = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in FILES}
    needed = {name: loaded_everywhere(text) & MODULES | names_of_some_systems(text) for name, text in texts.items()}
    assert len(needed) > 300 and not {name: found for name, found in needed.items() if found}


@pytest.mark.parametrize(
    ("text", "modules", "names"),
    [
        ("", set(), set()),
        ("import resource", {"resource"}, set()),
        ("from fcntl import flock", {"fcntl"}, set()),
        ("if os.name != 'nt':\n    import fcntl", set(), set()),
        ("def f():\n    import resource\n    return os.uname()", set(), {"uname"}),
        ("getattr(os, 'O_NOFOLLOW', 0)", set(), set()),
    ],
)
def test_the_check_itself(text, modules, names):
    assert loaded_everywhere(text) & MODULES == modules
    assert names_of_some_systems(text) == names


def test_the_peak_of_a_program_is_not_that_of_who_started_it():
    taken = np.ones(100_000_000, np.uint8)  # so that this process is larger than a fresh one
    import_only = "from centernet_tf.benchmark.timing import highest_memory; print(highest_memory())"
    told = subprocess.run([sys.executable, "-c", import_only], capture_output=True, text=True, check=True).stdout
    assert float(told) < timing.highest_memory() - len(taken) / 2e6


def test_memory_is_measured_by_what_there_is(monkeypatch):
    real, missing = builtins.__import__, {"resource"}

    def partly(name, *arguments, **options):
        if name in missing:
            raise ImportError(name)
        return real(name, *arguments, **options)

    here, peak = timing._resident(), timing.highest_memory()
    # Of what other tests took in this process until now, much may have been given back.
    assert 50 < here / 1e6 <= 1.3 * peak
    monkeypatch.setattr(builtins, "__import__", partly)
    monkeypatch.setattr(timing.Path, "read_text", lambda path: open("/nowhere"))  # noqa: PTH123, SIM115
    missing.add("psutil")
    assert np.isnan(timing.highest_memory()) and np.isnan(timing._resident())
    with timing.PeakMemory() as memory:
        pass
    assert np.isnan(memory.megabytes)
    missing.remove("resource")
    assert timing._resident() == pytest.approx(timing.highest_memory() * 1e6, rel=0.01)
