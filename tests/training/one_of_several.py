"""One process of a training, a program that tests start: settings, folder and what is asked of it come as JSON.

It writes what each step tells into `losses`, a line each, and kills itself behind as many steps as `dies` says.
"""

import importlib.util
import json
import os
import signal
import sys
from pathlib import Path

import keras

asked = json.loads(sys.argv[1])
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    halves = [tf.config.LogicalDeviceConfiguration()] * asked.get("halves", 1)
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], halves)

spec = importlib.util.spec_from_file_location("conftest", Path(__file__).parents[1] / "conftest.py")
spec.loader.exec_module(importlib.util.module_from_spec(spec))  # It puts the tiny backbone into the table.

from centernet_tf.config import parse_settings  # noqa: E402
from centernet_tf.errors import DataError, UsageError  # noqa: E402
from centernet_tf.training.train import train  # noqa: E402


class Told(keras.callbacks.Callback):
    def __init__(self, file):
        super().__init__()
        self.file, self.steps = file, 0

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        print(json.dumps({name: float(value) for name, value in logs.items()}), file=self.file, flush=True)
        if self.steps == asked.get("dies"):
            os.kill(os.getpid(), signal.SIGKILL)


try:
    with Path(asked["losses"]).open("w") as file:
        train(parse_settings(asked["settings"], "settings"), asked["out"], extra=[Told(file)])
except (DataError, UsageError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
