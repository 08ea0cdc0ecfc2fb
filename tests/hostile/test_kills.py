"""Kills at random moments, and what is there in the end is what an unbroken run leaves.

Kills at chosen moments are in tests/datasets/test_writer.py and tests/training/test_train.py.
"""

import contextlib
import csv
import os
import random
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from centernet_tf.config import parse_settings, write_settings
from centernet_tf.data.dataset import iterate, open_dataset, verify_checksums
from centernet_tf.datasets.drawn import film
from centernet_tf.datasets.writer import write_records
from centernet_tf.model.file import load_model

if not hasattr(os, "fork") or keras.backend.backend() != "tensorflow":
    pytest.skip("the runs are forked, which Windows does not know and JAX does not bear", allow_module_level=True)

KILLS = int(os.environ.get("HOSTILE_KILLS", "20"))  # of each program; continuous integration has fewer
# Imports once, then does the work of each line it reads in a process of its own, and prints its number and its end.
SERVER = """
import os, sys
{imports}
print("ready", flush=True)
for line in sys.stdin:
    arguments = line.split()
    child = os.fork()
    if not child:
        sys.stdin.close()
        os.dup2(2, 1)
        try:
            work(*arguments)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
RECORDS = """
from centernet_tf.datasets.drawn import shapes
from centernet_tf.datasets.writer import write_records
def work(out, count):
    classes, items, _ = shapes.read(int(count), (64, 64))
    write_records(items, directory=out, name="a", split="train", classes=classes, shards=40)
"""
TRAIN = f"""
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
import conftest  # knows the backbone of tests
from centernet_tf.config import read_settings
from centernet_tf.training.train import train
def work(out, settings):
    train(read_settings(settings), out)
"""


@contextlib.contextmanager
def server(imports):
    """A function (*arguments) that works, and is killed `delay` seconds after its start or after a file is new there.

    It returns whether it was killed, and how long it took.
    """
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", SERVER.format(imports=imports)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout.readline() == "ready\n"

        def done(seconds):
            return bool(select.select([process.stdout], [], [], seconds)[0])

        def run(*arguments, delay=None, after=None):
            before = identity(after)
            start = time.monotonic()
            process.stdin.write(" ".join(map(str, arguments)) + "\n")
            process.stdin.flush()
            child = int(process.stdout.readline())
            # The server waits for its child, whose number so is no other program's until the line is read.
            while after and identity(after) in (None, before) and not done(0):
                pass
            if delay is not None and not done(delay):
                os.kill(child, signal.SIGKILL)
            code = int(process.stdout.readline())
            assert code in (0, -signal.SIGKILL)
            return code != 0, time.monotonic() - start

        yield run
        process.stdin.close()


def identity(path):
    """What tells a file from an older one of its name; None where there is none."""
    try:
        return path and (path.stat().st_ino, path.stat().st_mtime_ns)
    except FileNotFoundError:
        return None


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


@pytest.mark.long
def test_records_killed_at_random_moments(tmp_path):
    """Over records of an earlier run: they stay whole until the new ones are, or are not there at all."""
    with server(RECORDS) as run:
        moments, count, kills, while_naming = random.Random(0), 200, 0, 0
        _, seconds = run(tmp_path / "whole", count)
        whole = contents(tmp_path / "whole")
        run(tmp_path / "out", count // 2)
        older = contents(tmp_path / "out")
        while kills < KILLS:
            # The few milliseconds in which shards get their names, as often as all the rest.
            naming = moments.random() < 0.5
            delay = moments.uniform(0, 0.02 if naming else seconds)
            notes = tmp_path / "out" / ".naming.json"
            before = identity(notes)
            killed, _ = run(tmp_path / "out", count, delay=delay, after=notes if naming else None)
            while_naming += identity(notes) not in (None, before)
            found = contents(tmp_path / "out")
            found.pop(".lock", None)
            found.pop(".naming.json", None)
            if not killed:
                assert found == whole
            elif "dataset.yaml" in found:
                dataset = open_dataset(tmp_path / "out")
                verify_checksums(dataset)
                assert sum(1 for _ in iterate(dataset)) == dataset.images
            assert all(data in (whole.get(name), older.get(name)) for name, data in found.items())
            kills += killed
        killed, _ = run(tmp_path / "out", count)
        assert not killed and contents(tmp_path / "out") == whole
        print(f"{kills} kills of records, {while_naming} while shards got their names; {seconds:.1f} s unbroken")


def log_of(out):
    with (out / "log.csv").open(newline="") as file:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]


@pytest.fixture(params=["images", "videos"])
def learned(request, shapes_train, shapes_val, tmp_path):
    """Task and folders of records."""
    if request.param == "images":
        return "detect", shapes_train.directory, shapes_val.directory
    for split, count in (("train", 4), ("val", 2)):
        classes, items, properties = film.read(count, (64, 64), split=split, film=film.Film(frames=12))
        about = {"name": "film", "classes": classes, "properties": properties}
        write_records(items, directory=tmp_path / "film" / split, split=split, **about)
    return "track", tmp_path / "film" / "train", tmp_path / "film" / "val"


@pytest.mark.long
def test_training_killed_at_random_moments(learned, tmp_path):
    """In one folder after the other, until all kills are done; each ends as the unbroken run."""
    task, train, val = learned
    with server(TRAIN) as run:
        content = {
            "task": task,
            "backbone": "tiny",
            "data": {"train": str(train), "validation": str(val), "size": [64, 64], "shuffle": 24},
            "train": {"epochs": 3, "batch_size": 4, "learning_rate": 1e-3, "checkpoint_steps": 2, "ema": 0.9},
            "evaluate": {"batch_size": 4, "images": 1},
        }
        write_settings(parse_settings(content, "the test"), tmp_path / "run.yaml")
        given = (tmp_path / "run.yaml",)
        _, seconds = run(tmp_path / "whole", *given)
        moments, kills, folders, worst = random.Random(0), 0, 0, 0.0
        expected, weights = log_of(tmp_path / "whole"), load_model(tmp_path / "whole" / "last.keras")[0].get_weights()
        names = {path.name for path in (tmp_path / "whole").iterdir()}
        while kills < KILLS:
            out = tmp_path / f"run{folders}"
            folders += 1
            delay = 0.0
            while delay is not None:
                # Anywhere from the start to behind the end, and as often between two saves or within one.
                stepping = moments.random() < 0.6
                delay = moments.uniform(0, 0.8 if stepping else 1.1 * seconds) if kills < KILLS else None
                killed, _ = run(out, *given, delay=delay, after=out / "state.npz" if stepping else None)
                kills += killed
                if not killed:
                    break
            found = load_model(out / "last.keras")[0].get_weights()
            worst = max(worst, *(float(np.abs(one - other).max()) for one, other in zip(weights, found)))
            assert log_of(out) == [pytest.approx(row, rel=1e-4, abs=1e-6) for row in expected]
            assert {path.name for path in out.iterdir()} == names, "a kill leaves no half-written file behind"
            for one, other in zip(weights, found):
                np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
        print(f"{kills} kills of train in {folders} folders; largest difference of a weight {worst:.2g}")
