"""One process of a training, a program that tests start: settings, folder and what is asked of it come as JSON.

It writes what each step tells into `losses`, a line each, and kills itself behind as many steps as `dies` says. Where
another program starts the processes, such as Ray, that calls `worked` in each of them.
"""

import importlib.util
import json
import os
import signal
import sys
from pathlib import Path

import keras

from centernet_tf.config import parse_settings
from centernet_tf.errors import DataError, UsageError
from centernet_tf.training.cluster import read_cluster
from centernet_tf.training.train import train

spec = importlib.util.spec_from_file_location("conftest", Path(__file__).parents[1] / "conftest.py")
spec.loader.exec_module(importlib.util.module_from_spec(spec))  # It puts the tiny backbone into the table.


class Told(keras.callbacks.Callback):
    """Writes what each step tells, and kills this process where it is asked to."""

    def __init__(self, file, dies=None):
        super().__init__()
        self.file, self.dies, self.steps = file, dies, 0

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        print(json.dumps({name: float(value) for name, value in logs.items()}), file=self.file, flush=True)
        if self.steps == self.dies:
            os.kill(os.getpid(), signal.SIGKILL)


def worked(settings, out):
    """`train`, whose process writes into a file of its own; of those started first, the last one is killed."""
    asked, cluster = json.loads(os.environ["ASKED"]), read_cluster(os.environ)
    start = len([*Path(asked["losses"]).glob(f"{cluster.number}_*")])
    dies = asked["dies"] if start == 0 and cluster.number == cluster.count - 1 else None
    with Path(asked["losses"], f"{cluster.number}_{start}").open("w") as file:
        train(settings, out, extra=[Told(file, dies)])


def main(asked):
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        halves = [tf.config.LogicalDeviceConfiguration()] * asked.get("halves", 1)
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], halves)
    try:
        with Path(asked["losses"]).open("w") as file:
            train(parse_settings(asked["settings"], "settings"), asked["out"], extra=[Told(file, asked.get("dies"))])
    except (DataError, UsageError) as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
