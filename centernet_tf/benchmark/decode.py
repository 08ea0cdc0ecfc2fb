"""Decode next to forward: resnet18, 512x512, batch 1, 80 classes."""

import functools

import numpy as np
import tensorflow as tf

from centernet_tf.benchmark.timing import interleaved
from centernet_tf.model.network import build_network
from centernet_tf.points.centers import Centers
from centernet_tf.tasks import build_tasks
from centernet_tf.tasks.detect import Detect


def measure() -> list[tuple[str, str, str, str]]:
    """Rows of (backbone, forward ms, decode ms, decode as a fraction of forward)."""
    tasks = build_tasks({"detect": Detect()}, Centers(80))
    image = tf.constant(np.random.default_rng(0).normal(size=(1, 512, 512, 3)).astype(np.float32))
    rows = []
    for backbone in ("mobilenetv2_fpn", "resnet18", "resnet18_dcn"):
        network = build_network(backbone, tasks.heads)
        forward = tf.function(lambda images, network=network: network(images, training=False))
        maps = forward(image)
        decode = tf.function(tasks.decode)
        times = interleaved({"forward": functools.partial(forward, image), "decode": functools.partial(decode, maps)})
        fraction = f"{times['decode'] / times['forward']:.1%}"
        rows.append((backbone, f"{times['forward']:.1f}", f"{times['decode']:.2f}", fraction))
    return rows
