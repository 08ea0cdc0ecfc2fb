"""A step of every task on two devices of TensorFlow; `test_two_devices.py` runs it in a process of its own.

TensorFlow cuts a processor in two only before it has computed anything.
"""

import importlib.util
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from centernet_tf.model.network import build_network
from centernet_tf.preprocess import Normalization
from centernet_tf.tasks import TASKS
from centernet_tf.training.replicas import ReplicatedTrainer, mirrored
from centernet_tf.training.trainer import Trainer

HALVES = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], HALVES)

spec = importlib.util.spec_from_file_location("test_tasks", Path(__file__).with_name("test_tasks.py"))
contract = importlib.util.module_from_spec(spec)
spec.loader.exec_module(contract)
IMAGES = 4


def stepped(kind, tasks, batches):
    """Losses and all weights behind one step, whose gradient is clipped."""
    keras.utils.set_random_seed(0)
    network = build_network(contract.SMALLEST, tasks.heads, tasks.inputs)
    trainer = kind(network, tasks, Normalization(), contract.SIZE, ema=0.9)
    optimizer = keras.optimizers.SGD(0.01, global_clipnorm=1.0)
    trainer.compile(optimizer, loss=None, jit_compile=False, run_eagerly=True)
    found = trainer.fit(batches, steps_per_epoch=1, verbose=0).history
    return {name: value[0] for name, value in found.items()}, [one.numpy() for one in trainer.variables]


@pytest.mark.parametrize("name", TASKS)
def test_a_step_on_two_devices_is_that_on_one(name, rows):
    truth = rows(contract.task_set((name,)).fields, contract.SIZE, images=IMAGES, num_classes=contract.CLASSES)
    truth["valid"][:2, 1:] = False
    inputs = contract.inputs_of(contract.task_set((name,)), rows, IMAGES)
    images = tf.data.Dataset.from_tensor_slices((inputs, truth)).repeat()
    expected, weights = stepped(Trainer, contract.task_set((name,)), images.batch(IMAGES))
    strategy = mirrored(("cpu:0", "cpu:1"))
    halves = strategy.distribute_datasets_from_function(lambda context: images.batch(IMAGES // 2))
    with strategy.scope():
        found, others = stepped(ReplicatedTrainer, contract.task_set((name,)), halves)
    assert found == pytest.approx(expected, rel=1e-4)
    for one, other in zip(others, weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)
