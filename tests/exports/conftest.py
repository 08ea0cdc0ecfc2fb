"""Networks of every kind, and each of them in each format once for all tests."""

import keras
import numpy as np
import pytest
from keras import ops

from centernet_tf.geometry.camera import DEFAULT_CAMERA
from centernet_tf.layers.deformable import DeformableConv2D
from centernet_tf.losses import whole_map
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.network import as_argument, head_map

SIZE = (64, 96)
FACE = {"keypoints": ["nose", "left_eye", "right_eye"], "flip_pairs": [["left_eye", "right_eye"]]}
CAMERA = DEFAULT_CAMERA.tolist()
# {kind: (tasks, classes, further entries of the card)}
KINDS = {
    "detect": ({"detect": {}}, ("cat", "dog", "owl")),
    "deformable": ({"detect": {}}, ("cat", "dog", "owl")),
    "pose": ({"detect": {}, "pose": {"skeleton": FACE, "classes": ["person"]}}, ("person", "ball"), {"iou_aware": 0.4}),
    "box3d": ({"box3d": {"camera": CAMERA}}, ("car", "truck")),
    "box3d_bare": ({"box3d": {"camera": CAMERA, "size": False}}, ("car", "truck")),
    "box3d_amodal": ({"box3d": {"camera": CAMERA, "amodal_offset": True}}, ("car", "truck")),
    "reid": ({"reid": {"embedding": 6}}, ("cat", "dog"), {"ltrb": True}),
}
# Spread and mean of a trained network's maps.
MAPS = {
    "heatmap": (2, -2),
    "offset": (0.2, 0.5),
    "size": (2, 9),
    "iou": (1, 0.5),
    "keypoints": (3, 0),
    "keypoint_heatmap": (2, -1),
    "depth": (0.5, -2.5),
    "dimensions": (0.5, 3),
    "rotation": (1, 0),
    "displacement": (1, 0),
}


def trained_like(network: keras.Model, size: tuple[int, int]) -> keras.Model:
    """Gives the last layers of heads weights with which their maps spread as a trained network's do."""
    noise = np.random.default_rng(0).normal(size=(1, *size, 3)).astype(np.float32)
    shown = as_argument({one.name: noise[..., : one.shape[-1]] for one in network.inputs})
    outputs = network(shown, training=False)
    maps = {name: ops.convert_to_numpy(whole_map(values[-1])) for name, values in outputs.items()}
    for name, (spread, mean) in MAPS.items():
        if name in maps:
            layer = next(layer for layer in network.layers[::-1] if layer.name.startswith(f"{name}_"))
            kernel, bias = layer.get_weights()
            factor = spread / maps[name].std(axis=(0, 1, 2))
            layer.set_weights([kernel * factor, mean - factor * (maps[name].mean(axis=(0, 1, 2)) - bias)])
    return network


def small(card: ModelCard, deformable: bool) -> keras.Model:
    """One convolution, or one and behind it both orders of a deformable convolution's arithmetic."""
    keras.utils.set_random_seed(0)
    image = keras.Input((None, None, 3), name="image")
    # A kernel smaller than its stride would be read wrongly by TensorFlow's XNNPACK.
    layer = keras.layers.Conv2D(24, 5, strides=4, padding="same", activation="relu", name="stem")(image)
    if deformable:
        layer = keras.layers.ReLU()(DeformableConv2D(16, name="narrowing")(layer))
        layer = keras.layers.ReLU()(DeformableConv2D(16, name="keeping")(layer))
        layer = keras.layers.Conv2D(16, 3, padding="same", activation="relu", name="shared")(layer)
    heads = card.task_set().heads
    network = keras.Model(image, {head.name: [head_map(layer, head, 0, head.name)] for head in heads})
    random = np.random.default_rng(0)
    for variable in network.weights:
        if "offset_kernel" in variable.path:  # so that samples move
            variable.assign(random.normal(0, 0.02, variable.shape))
    return trained_like(network, SIZE)


@pytest.fixture(scope="session")
def spread_maps():
    """`trained_like`."""
    return trained_like


@pytest.fixture(scope="session")
def model(spot_network, spot_card):
    """A function from a kind, a key of `KINDS` or "spots", to its network and card."""
    made = {"spots": (spot_network, spot_card)}

    def find(kind: str) -> tuple[keras.Model, ModelCard]:
        if kind not in made:
            tasks, classes, *further = KINDS[kind]
            form = InputCard(height=SIZE[0], width=SIZE[1], stride=32)
            options = {"backbone": "tiny", "max_objects": 10, **(further[0] if further else {})}
            card = ModelCard(tasks=tasks, classes=classes, input=form, **options)
            made[kind] = small(card, kind == "deformable"), card
        return made[kind]

    return find


def draw_blocks(size=SIZE, seed=1):
    """[H, W, 3] uint8: coarse blocks, so that there is something to see at every scale."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (size[0] // 8, size[1] // 8, 3)).repeat(8, 0).repeat(8, 1)
    return np.clip(coarse + random.integers(-40, 40, (*size, 3)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def blocks():
    """`draw_blocks`."""
    return draw_blocks


@pytest.fixture(scope="session")
def exported(model, tmp_path_factory):
    """A function (kind, format, **options of the export) -> what was written: a file, or the folder to serve.

    Each is written once. Eight bits learn from eight drawn images.
    """
    if keras.backend.backend() != "tensorflow":
        pytest.skip("models are exported on TensorFlow")
    folder = tmp_path_factory.mktemp("exported")
    written = {}

    def find(kind: str, format: str, **options):
        key = (kind, format, *sorted(options.items()))
        if key not in written:
            written[key] = write(kind, format, options, folder / str(len(written)))
        return written[key]

    def write(kind, format, options, place):
        if options.get("quantize") == "int8":
            options = {**options, "images": [draw_blocks(seed=seed) for seed in range(8)]}
        if format == "savedmodel":
            from centernet_tf.exports.savedmodel import export_savedmodel

            return export_savedmodel(model(kind), place / kind, **options).parent
        if format == "tflite":
            pytest.importorskip("ai_edge_litert.interpreter", reason="pip install ai-edge-litert")
            from centernet_tf.exports.tflite import export_tflite

            return export_tflite(model(kind), place / "model.tflite", **options)
        pytest.importorskip("onnxruntime", reason="running ONNX files needs the extra [onnx]")
        pytest.importorskip("tf2onnx", reason="writing ONNX files needs the extra [onnx]")
        from centernet_tf.exports.onnx import export_onnx

        return export_onnx(model(kind), place / "model.onnx", **options)

    return find
