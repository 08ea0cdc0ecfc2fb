"""Any network of keras.applications as a trunk, with the light feature pyramid on top.

Keras ships ImageNet weights for them. Each was trained on pixels scaled in its own way, so each brings its own
normalisation: what its `preprocess_input` does, in our terms.
"""

import inspect
import re
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from centernet_tf.backbones.pyramid import STRIDES, feature_pyramid
from centernet_tf.errors import UsageError, closest
from centernet_tf.preprocess import Normalization

IMAGENET = "imagenet"
# They leave out the border ("valid" padding), so none of their maps is an exact quarter of the input.
REFUSED = ("InceptionResNetV2", "InceptionV3", "NASNetLarge", "NASNetMobile", "Xception")
USABLE = tuple(name for name, one in inspect.getmembers(keras.applications, inspect.isfunction) if name not in REFUSED)
PROBE = 256  # input side in pixels at which strides are read off
# EfficientNet's published files hold standard deviations where its normalisation expects their squares.
EFFICIENTNET_STD = (0.229, 0.224, 0.225)


def parse_application(name: str) -> str:
    """Checks that Keras has an application that this package can use.

    Raises:
        UsageError: It has not; the message lists what can be used.
    """
    usable = f"Usable: {', '.join(USABLE)}."
    if not name:
        raise UsageError(f"expected the name of a Keras application after a colon, such as :ResNet50. {usable}")
    if name in REFUSED:
        raise UsageError(f"{name} crops the image's border, so its feature maps do not align. {usable}")
    if name not in USABLE:
        raise UsageError(f"Keras has no application {name!r}.{closest(name, USABLE)} {usable}")
    return name


def normalization_of(name: str) -> Normalization:
    """The input that an application was trained on, read off what its `preprocess_input` does to three pixels."""
    preprocess = sys.modules[getattr(keras.applications, name).__module__].preprocess_input
    pixels = np.array([[0, 0, 0], [255, 255, 255], [255, 0, 0]], np.float64)
    black, white, red = preprocess(pixels.reshape(1, 3, 1, 3), data_format="channels_last").reshape(3, 3)
    std = 1 / (white - black)
    mean = np.round(-black * std, 12) + 0.0  # without minus zero
    order = "rgb" if red[0] == white[0] else "bgr"
    return Normalization(tuple(mean.tolist()), tuple(std.tolist()), order)


def keras_application(inputs: Mapping[str, int], name: str, pyramid: int = 64) -> keras.Model:
    """A Keras application brought back up to a quarter of the input size by a light feature pyramid.

    Args:
        inputs: Channels of each named input. The image has three; each further one is brought to its channels by a 7x7
            convolution that starts at zero, and added to it.
        name: One of `USABLE`.
        pyramid: Channels of the pyramid and of the output.

    Returns:
        Model from {name: [B, H, W, channels]}, sides multiples of 32, to {"stack1": [B, H/4, W/4, pyramid]}.

    Raises:
        UsageError: Some stride has no map in it.
    """
    images = {key: keras.Input((None, None, channels), name=key) for key, channels in inputs.items()}
    first, *further = images
    stems = [
        layers.Conv2D(3, 7, padding="same", use_bias=False, kernel_initializer="zeros", name=f"stem_{key}_conv")(
            images[key]
        )
        for key in further
    ]
    x = layers.Add(name="stem_add")([images[first], *stems]) if stems else images[first]
    original = _trunk(name)
    names = _stable_names(original)

    def renamed(operation: Any) -> Any:
        """A copy of a layer; operations without weights and names may be used twice."""
        if not isinstance(operation, layers.Layer):
            return operation
        own = names.get(operation.name, operation.name)
        if _learns_its_input(operation):
            return layers.BatchNormalization(center=False, scale=False, epsilon=0, trainable=False, name=own)
        if _is_layer_scale(operation):
            start = keras.initializers.Constant(operation.init_values)
            return layers.DepthwiseConv2D(1, use_bias=False, depthwise_initializer=start, name=own)
        return type(operation).from_config({**operation.get_config(), "name": own})

    trunk = keras.models.clone_model(
        original, input_tensors=keras.Input((None, None, 3), name="pixels"), clone_function=renamed
    )
    levels = dict(zip(STRIDES, trunk(x)))
    return keras.Model(images, {"stack1": feature_pyramid(levels, pyramid)}, name=f"keras_application_{name}")


def application_weights(name: str, source: str | Path) -> dict[str, np.ndarray]:
    """Trained weights of an application's trunk.

    Args:
        name: One of `USABLE`.
        source: "imagenet" for those that Keras ships, which are downloaded once, or a file that `save_weights` of the
            application, built with include_top=False, wrote.

    Returns:
        {path of a weight in `keras_application`: its value}.

    Raises:
        UsageError: The download failed, or the file holds something else.
    """
    if source != IMAGENET and not Path(source).is_file():
        raise UsageError(f"{source}: no such file of weights.")
    try:
        model = _trunk(name, str(source))
    # Keras raises a bare Exception where a download fails, and whatever h5py raises where a file is odd.
    except Exception as error:
        what = " ".join(str(error).split())
        if source == IMAGENET:
            raise UsageError(
                f"weights: imagenet: Keras could not download those of {name} ({what}). Fetch the file for "
                "include_top=False on another machine and set weights to its path."
            ) from error
        raise UsageError(
            f"{source}: no weights of a {name} without its top ({what}). Give a file that was saved as "
            f"keras.applications.{name}(include_top=False).save_weights(...)."
        ) from error
    names, found = _stable_names(model), {}
    for layer in model.layers:
        own, values = names.get(layer.name, layer.name), [keras.ops.convert_to_numpy(one) for one in layer.weights]
        if _learns_its_input(layer):
            mean, variance, _ = values
            if name.startswith("EfficientNetB") and mean.any():
                variance = variance * np.array(EFFICIENTNET_STD, variance.dtype)
            found |= {f"{own}/moving_mean": mean, f"{own}/moving_variance": variance}
        elif _is_layer_scale(layer):
            found[f"{own}/kernel"] = values[0].reshape(1, 1, -1, 1)
        else:
            for weight, value in zip(layer.weights, values):
                # A Sequential's weights may or may not begin with its own name; ours do not.
                start, rest = weight.path.split("/")[-2:]
                found[f"{names.get(start, start)}/{rest}"] = value
    return found


def _trunk(name: str, weights: str | None = None) -> keras.Model:
    """The application itself, from pixels to its last map at each of `STRIDES`."""
    model = getattr(keras.applications, name)(include_top=False, weights=weights, input_shape=(None, None, 3))
    tensors = [operation.output for operation in model.operations]
    tensors = [tensor for tensor in tensors if isinstance(tensor, keras.KerasTensor) and len(tensor.shape) == 4]
    try:
        probed = keras.Model(model.input, tensors).compute_output_spec(keras.KerasTensor((1, PROBE, PROBE, 3)))
    except ValueError:
        probed = []  # maps of odd sizes that cannot be added
    last = {probe.shape[1:3]: tensor for probe, tensor in zip(probed, tensors)}
    missing = [stride for stride in STRIDES if (PROBE // stride, PROBE // stride) not in last]
    if missing:
        raise UsageError(f"{name} has no map at 1/{missing[0]} of the input. Usable: {', '.join(USABLE)}.")
    return keras.Model(model.input, [last[PROBE // stride, PROBE // stride] for stride in STRIDES], name=name)


def _stable_names(model: keras.Model) -> dict[str, str]:
    """New names of layers that Keras named itself, by numbers that grow with every network built in a process."""
    counts: Counter[str] = Counter()
    names = {}
    for layer in model.layers:
        kind = re.sub(r"_\d+$", "", layer.name)
        if kind.replace("_", "") == type(layer).__name__.lower():
            counts[kind] += 1
            names[layer.name] = f"{kind}_{counts[kind]}"
    return names


def _learns_its_input(operation: Any) -> bool:
    """Whether it is a Normalization with statistics in weights.

    It reads them when a file is loaded, not when a weight is assigned; a frozen batch normalisation does the same sum
    with weights like all others.
    """
    return isinstance(operation, layers.Normalization) and bool(operation.weights)


def _is_layer_scale(operation: Any) -> bool:
    """Whether it is ConvNeXt's factor for each channel: a depthwise 1x1 convolution, but without a lasting name."""
    return type(operation).__name__ == "LayerScale"
