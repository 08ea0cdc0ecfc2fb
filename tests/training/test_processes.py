"""Two processes on this machine train as one does, one of them is killed, and both go on where they were."""

import contextlib
import csv
import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import yaml

from centernet_tf.model.file import load_model

PROGRAM = Path(__file__).with_name("one_of_several.py")
BACKENDS = ("tensorflow", "jax")
KILLED, SAVED = 8, 6  # Steps done when a process is killed, and of the last state before.
WAIT = 300  # seconds


def settings(shapes_train, shapes_val, **train):
    return {
        "backbone": "tiny",
        "head_channels": 8,
        "max_objects": 20,
        "data": {
            "train": str(shapes_train.directory),
            "validation": str(shapes_val.directory),
            "size": [64, 64],
            "workers": 1,
            "shuffle": 16,
        },
        "train": {"epochs": 4, "batch_size": 4, "learning_rate": 1e-4, "ema": 0.9, "clip_norm": 2.0, **train},
        "evaluate": {"every": 4, "images": 0},
    }


def start(asked, backend, environment):
    """A process, whose output is in a file beside its losses."""
    variables = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    with Path(f"{asked['losses']}.said").open("w") as said:
        return subprocess.Popen(
            [sys.executable, PROGRAM, json.dumps(asked)], env=variables, stdout=said, stderr=subprocess.STDOUT
        )


def free_ports(count):
    with contextlib.ExitStack() as stack:
        taken = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in taken:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in taken]


def keras_says(addresses, number):
    said = {"JOB_ADDRESSES": ",".join(addresses), "NUM_PROCESSES": str(len(addresses)), "PROCESS_ID": str(number)}
    return {f"KERAS_DISTRIBUTION_{name}": text for name, text in said.items()}


def tensorflow_says(addresses, number):
    return {"TF_CONFIG": json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": number}})}


def train(folder, backend, content, processes=1, dies=None, says=keras_says, **more):
    """[(exit code, output, what each step told)] of each process; the last one dies where it is asked to."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(processes)]
    running = []
    for number in range(processes):
        asked = {"settings": content, "out": str(folder / "run"), "losses": str(folder / f"losses{number}"), **more}
        if dies and number == processes - 1:
            asked["dies"] = dies
        running.append(start(asked, backend, says(addresses, number)))
    try:
        codes = [one.wait(WAIT) for one in running]
    finally:
        for one in running:
            one.kill()
    said = [(folder / f"losses{number}.said").read_text() for number in range(processes)]
    told = [(folder / f"losses{number}").read_text().splitlines() for number in range(processes)]
    return list(zip(codes, said, [[json.loads(line) for line in lines] for lines in told]))


def weights(folder):
    """Those of the model that was written last."""
    network, _ = load_model(folder / "run/last.keras")
    return [keras.ops.convert_to_numpy(one) for one in network.weights]


def check_equal(found, expected):
    assert [set(one) for one in found] == [set(one) for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, rel=1e-5, abs=1e-5)


def check_outcome(both, alone):
    """The folders of both runs hold the same files, models and log."""
    assert {path.name for path in (both / "run").iterdir()} == {path.name for path in (alone / "run").iterdir()}
    for one, other in zip(weights(both), weights(alone), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    rows, wanted = (list(csv.DictReader((one / "run/log.csv").open())) for one in (both, alone))
    for row, other in zip(rows, wanted, strict=True):
        assert {name: float(text or 0) for name, text in row.items()} == pytest.approx(
            {name: float(text or 0) for name, text in other.items()}, rel=1e-4, abs=1e-4
        )


@pytest.mark.long
@pytest.mark.parametrize("backend", BACKENDS)
def test_two_processes_train_as_one_and_go_on_after_a_kill(tmp_path, shapes_train, shapes_val, backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    alone, both = tmp_path / "alone", tmp_path / "both"
    alone.mkdir()
    both.mkdir()
    content = settings(shapes_train, shapes_val, checkpoint_steps=3)
    ((code, said, expected),) = train(alone, backend, content)
    assert code == 0, said
    # Six steps an epoch.
    assert len(expected) == 24

    (code, said, told), (killed, _, others) = train(both, backend, content, 2, KILLED)
    assert killed < 0 and len(others) == KILLED
    assert code != 0 and "no longer answers" in said, said
    check_equal(told[:KILLED], expected[:KILLED])
    assert others == told[:KILLED]

    # Told in the other way who they are, they are the same processes.
    for code, said, told in train(both, backend, content, 2, says=tensorflow_says):
        assert code == 0, said
        check_equal(told, expected[SAVED:])
    check_outcome(both, alone)


# What the lines for Ray Train name, and what stands there for two processors of this machine.
PUT = {
    "from centernet_tf.training.train import train": "from one_of_several import worked as train",
    "/shared/detect_own.yaml": "{folder}/settings.yaml",
    "train.checkpoint_steps=500": "train.checkpoint_steps=3",
    "/shared/runs/mine": "{folder}/run",
    "/shared/runs/ray": "{folder}/ray",
    "use_gpu=True": "use_gpu=False",
}


def ray_program(folder):
    """The lines of the page as a program, whose Ray has two processors, whatever this machine has."""
    text = (Path(__file__).parents[2] / "docs/scale.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    for named, ours in PUT.items():
        assert lines.count(named) == 1, named
        lines = lines.replace(named, ours.format(folder=folder))
    program = folder / "lines.py"
    program.write_text(f"import ray\n\nray.init(num_cpus=2, include_dashboard=False)\n{lines}")
    return program


def train_on_ray(folder, backend, content, dies):
    """{process_start: what each step told} of a training whose last process dies once, by the lines of the page."""
    (folder / "settings.yaml").write_text(yaml.safe_dump(content))
    (folder / "told").mkdir()
    here = Path(__file__)
    environment = {
        "ASKED": json.dumps({"losses": str(folder / "told"), "dies": dies}),
        "PYTHONPATH": os.pathsep.join([str(here.parent), str(here.parents[2]), os.environ.get("PYTHONPATH", "")]),
        "RAY_USAGE_STATS_ENABLED": "0",
        # Ray's workers have 15, with which they come to nothing where a machine has other work.
        "RAY_worker_niceness": "0",
    }
    variables = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    with (folder / "said").open("w") as said:
        running = subprocess.Popen(
            [sys.executable, ray_program(folder)], env=variables, stdout=said, stderr=subprocess.STDOUT
        )
    try:
        code = running.wait(3 * WAIT)  # TensorFlow is loaded six times.
    finally:
        running.terminate()  # Ray ends its own processes then.
        running.wait(60)
    assert code == 0, (folder / "said").read_text()
    return {path.name: [json.loads(line) for line in path.read_text().splitlines()] for path in folder.glob("told/*")}


@pytest.mark.long
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_lines_for_ray_train_two_workers_as_one_and_go_on_after_a_kill(tmp_path, shapes_train, shapes_val, backend):
    pytest.importorskip("ray", reason="Ray takes 240 MB and is in no extra that the tests install")
    pytest.importorskip("ray.train", reason="Ray Train needs ray[train]")
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    alone, both = tmp_path / "alone", tmp_path / "both"
    alone.mkdir()
    both.mkdir()
    content = settings(shapes_train, shapes_val, checkpoint_steps=3)
    ((code, said, expected),) = train(alone, backend, content)
    assert code == 0, said

    told = train_on_ray(both, backend, content, KILLED)
    assert {*told} == {"0_0", "0_1", "1_0", "1_1"}
    assert len(told["1_0"]) == KILLED
    for process in "01":
        check_equal(told[f"{process}_0"][:KILLED], expected[:KILLED])
        check_equal(told[f"{process}_1"], expected[SAVED:])
    check_outcome(both, alone)
