"""Networks beside this machine's own matrices: which are measured, and what is counted of each."""

import subprocess
import sys

import keras
import pytest

from centernet_tf.backbones import BACKBONES
from centernet_tf.benchmark import networks
from centernet_tf.benchmark.modes import modes
from centernet_tf.benchmark.rate import share
from centernet_tf.errors import UsageError

COMPILED = [mode for mode in modes() if mode != "eager"]


@pytest.fixture(autouse=True)
def float32():
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture
def asked(monkeypatch):
    """What `measure` runs in other processes, which answer at once."""
    calls = []

    def answer(module, *arguments, cores):
        calls.append((*arguments, cores))
        if arguments[0] == "resnet50":
            raise MemoryError
        return {"parameters": 2e6, "multiply_adds": 3e9, "ms": 50.0, "peak": 7.0, "rate": 150.0, "share": 0.8}

    monkeypatch.setattr(networks, "in_fresh_process", answer)
    return calls


def test_everything_is_measured_where_nothing_is_chosen(asked):
    rows = list(networks.measure())
    known = [name for name, entry in BACKBONES.items() if entry.build]
    assert len(rows) == len(asked) == len(known) * 2 * len(COMPILED) * 2
    assert {call[0] for call in asked} == set(known) and {call[5] for call in asked} == {"512"}


def test_words_choose(asked):
    words = ["resnet18", "2", "4", "--precision", "bfloat16", "--mode", "eager", COMPILED[0], "--cores", "1"]
    rows = list(networks.measure([*words, "--size", "64", "--side", "8"]))
    cases = [("eager", "forward"), (COMPILED[0], "forward"), (COMPILED[0], "training")]
    assert asked == [
        ("resnet18", batch, "bfloat16", mode, work, "64", "8", "1", 1) for batch in ("2", "4") for mode, work in cases
    ]
    assert rows[0] == ("resnet18", "2.0", "3.0", "2", "eager, bfloat16", "forward", "50", "40.00", "7", "150", "0.80")


def test_a_network_too_large_for_the_memory_leaves_a_row(asked):
    rows = list(networks.measure(["resnet50", "resnet18", "--precision", "float32", "--work", "forward"]))
    assert [row[6] for row in rows] == ["out of memory"] * len(COMPILED) + ["50"] * len(COMPILED)
    assert {len(row) for row in rows} == {11}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["resnet17"], "Unknown backbone 'resnet17'"),
        (["resnet18", "0"], "'0' is not a whole number"),
        (["--precision", "float16"], "invalid choice: 'float16'"),
        (["--cores", "2"], "invalid choice: 2"),
        (["--speed"], "unrecognized arguments: --speed"),
        (["hourglass104", "--size", "96"], "96 is no multiple of 128, which hourglass104 needs"),
    ],
)
def test_bad_words(words, message):
    with pytest.raises(UsageError, match=message):
        networks.options_of(words)


# Products of the tiny backbone with heads of 8 channels: 32 x 32 and then 16 x 16 cells.
STEM, BODY = 32 * 32 * 9 * 3 * 8, 16 * 16 * 9 * (8 + 16) * 16
HEAT, OTHERS = 16 * 16 * (9 * 16 * 8 + 8 * 80), 16 * 16 * 2 * (9 * 16 * 8 + 8 * 2)


@pytest.mark.parametrize(
    ("work", "precision", "times"),
    [
        ("forward", "float32", STEM + BODY + HEAT + OTHERS),
        ("forward", "bfloat16", STEM + BODY + HEAT + OTHERS),
        # What is read at single cells is not computed everywhere, and the rest three times.
        ("training", "float32", 3 * (STEM + BODY + HEAT)),
    ],
)
def test_one_network_measured(work, precision, times):
    found = networks.one("tiny", 2, precision, COMPILED[0], work, size=64, side=64)
    assert found["multiply_adds"] == STEM + BODY + HEAT + OTHERS
    assert min(found["ms"], found["rate"]) > 0 and found["parameters"] > 5000
    assert found["share"] == pytest.approx(share(2 * times, found["ms"], found["rate"]))


@pytest.mark.long
def test_the_program_prints_a_table():
    words = ["networks", "mobilenetv2_fpn:0.35", "--size", "64", "--side", "64", "--mode", COMPILED[0]]
    words += ["--precision", "float32", "--cores", "1", "--work", "forward"]
    command = [sys.executable, "-m", "centernet_tf.benchmark", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.count("mobilenetv2_fpn:0.35") == 1 and "share" in done.stdout
