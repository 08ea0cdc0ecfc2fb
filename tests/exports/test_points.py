"""The signature `at_points` of a SavedModel answers as the detector does, with all that the tasks find."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from centernet_tf.detector.detector import Detector
from centernet_tf.exports.answers import SCORES
from centernet_tf.exports.savedmodel import CLASS_SCORES, export_savedmodel
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.network import build_network

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow writes it")


@pytest.mark.long
@pytest.mark.parametrize("mode", ["fixed", "keep"])
def test_points_of_a_server_are_those_of_the_detector(mode, tmp_path):
    keras.utils.set_random_seed(2)
    card = ModelCard(
        tasks={"mask": {"side": 8}, "pose": {"skeleton": {"keypoints": ["nose", "tail"]}}},
        backbone="tiny",
        classes=("a", "b"),
        max_objects=5,
        input=InputCard(height=64, width=96, stride=4, mode=mode),
    )
    tasks, random = card.task_set(), np.random.default_rng(0)
    network = build_network(card.backbone, tasks.heads, tasks.inputs)
    for weight in network.weights:
        if "_out/kernel" in weight.path:
            weight.assign(random.normal(size=weight.shape, scale=0.3))
    image = random.integers(0, 256, (60, 90, 3)).astype(np.uint8)
    points = random.uniform(1, 59, (3, 2)).astype(np.float32)
    expected = Detector(network, card).at_points(image, points)
    run = tf.saved_model.load(str(export_savedmodel((network, card), tmp_path / "out"))).signatures["at_points"]
    for count in (3, 1, 2):  # any number of points, of any number of images
        images = tf.constant(np.stack([image] * 2))
        found = run(input_tensor=images, points=tf.constant(np.stack([points[:count], points[::-1][:count]])))
        np.testing.assert_allclose(found[SCORES][0], expected.scores[:count], atol=1e-4)
        np.testing.assert_allclose(found[SCORES][1], expected.scores[::-1][:count], atol=1e-4)
        np.testing.assert_allclose(found["detection_masks"][0], expected.fields["masks"][:count], atol=1e-3)
        np.testing.assert_allclose(found[CLASS_SCORES][0], expected.fields["class_scores"][:count], atol=1e-4)
        pixels = found["detection_keypoints"][0].numpy()[..., ::-1] * (90, 60)
        np.testing.assert_allclose(pixels, expected.fields["keypoints"][:count], atol=0.05)
