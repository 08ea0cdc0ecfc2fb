"""CenterNet (Objects as Points) for TensorFlow and Keras 3.

>>> detector = centernet_tf.load("runs/shapes/best.keras")
>>> detections = detector("image.jpg")

`train`, `evaluate`, `detect` and `export` do what the commands of these names do.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # as `_HOMES` has them
    from centernet_tf.api import detect, evaluate, export, train
    from centernet_tf.detector.detector import Detector, load
    from centernet_tf.results import Detections
    from centernet_tf.version import VERSION as __version__  # noqa: N811 - the name that packages give it

__all__ = ["Detections", "Detector", "__version__", "detect", "evaluate", "export", "load", "train"]

# Name: where it lives. Loaded on first use: Keras and TensorFlow take seconds, which `centernet --help` must not.
_HOMES = {
    "Detections": ("centernet_tf.results", "Detections"),
    "Detector": ("centernet_tf.detector.detector", "Detector"),
    "__version__": ("centernet_tf.version", "VERSION"),
    "detect": ("centernet_tf.api", "detect"),
    "evaluate": ("centernet_tf.api", "evaluate"),
    "export": ("centernet_tf.api", "export"),
    "load": ("centernet_tf.detector.detector", "load"),
    "train": ("centernet_tf.api", "train"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'centernet_tf' has no attribute {name!r}. It has: {', '.join(__all__)}.")
    module, attribute = _HOMES[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
