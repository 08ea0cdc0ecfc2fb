"""Timing in turn, by either clock, and in processes of their own."""

import itertools
import os

import pytest

from centernet_tf.benchmark import timing


def test_variants_take_turns_and_give_their_medians():
    order, now = [], itertools.count()  # A clock that goes on by a second whenever somebody looks.
    works = {name: (lambda name=name: order.append(name)) for name in "ab"}
    times = timing.interleaved(works, rounds=2, warm=1, clock=lambda: next(now))
    assert order == ["a", "b", "a", "b", "a", "b"]
    assert times == {"a": 1000.0, "b": 1000.0}


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Writes a module that only the processes of a test know."""
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(tmp_path), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    )

    def write(text):
        (tmp_path / "program_of_a_test.py").write_text(text)
        return "program_of_a_test"

    return write


def test_a_fresh_process_prints_json_last_and_may_have_one_core(program):
    text = "import json, os, sys; print('beginning'); print(json.dumps([sys.argv[1:], os.environ.get('NPROC')]))"
    module = program(text)
    assert timing.in_fresh_process(module, "a", "b", cores=1) == [["a", "b"], "1"]
    assert timing.in_fresh_process(module) == [[], os.environ.get("NPROC")]


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("raise MemoryError", MemoryError, "out of memory"),
        ("raise RuntimeError('RESOURCE_EXHAUSTED: Out of memory while trying')", MemoryError, "out of memory"),
        ("import os; os.kill(os.getpid(), 9)", MemoryError, "out of memory"),
        ("raise ValueError('something else')", RuntimeError, "something else"),
    ],
)
def test_why_a_process_failed(program, text, kind, message):
    with pytest.raises(kind, match=message):
        timing.in_fresh_process(program(text))
