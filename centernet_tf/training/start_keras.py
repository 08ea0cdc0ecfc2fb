"""Starting a training from the weights that Keras ships for a trunk."""

from pathlib import Path

import keras

from centernet_tf.backbones import find_backbone
from centernet_tf.errors import UsageError


def start_from_keras(network: keras.Model, backbone: str, source: str | Path) -> str:
    """Loads the trunk's weights; the feature pyramid and the heads keep their start.

    Args:
        network: The new one, changed in place.
        backbone: Its name, "keras_application:NAME".
        source: "imagenet", or the file (.h5) of such weights where there is no network to download them.

    Returns:
        What was loaded, for people.

    Raises:
        UsageError: Keras has no weights of this backbone, they cannot be downloaded, or the file is of something else.
    """
    read = find_backbone(backbone).weights
    if read is None:
        advice = "a PyTorch file of its trunk, such as torchvision's resnet18-*.pth for resnet18"
        raise UsageError(
            f"weights: {source}: Keras has none for {backbone}. Give {advice}, or choose keras_application:NAME."
        )
    values = read(source)
    weights = {weight.path: weight for weight in network.weights}
    for path, value in values.items():
        weights[path].assign(value)
    return f"{source}: {len(values)} of {len(weights)} weights loaded; the rest starts from scratch."
