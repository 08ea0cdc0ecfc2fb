"""The camera that an exported model of boxes in space takes where a picture's own is not known, as a file beside it."""

import json

import numpy as np

from centernet_tf.errors import UsageError
from centernet_tf.geometry.camera import as_camera
from centernet_tf.model_file import ModelCard

CAMERA = "camera.json"  # Its name.


def camera_text(card: ModelCard) -> str:
    """JSON of the camera [3, 4]; "null" for models that need none."""
    cameras = cameras_of(card)
    return json.dumps(None if cameras is None else cameras[0].tolist())


def read_camera(text: str) -> np.ndarray | None:
    """What `camera_text` wrote, [3, 4] float32."""
    values = json.loads(text)
    return None if values is None else as_camera(values)


def cameras_of(card: ModelCard) -> np.ndarray | None:
    """[1, 3, 4] float32, the card's; None for models that need none.

    Raises:
        UsageError: The model needs one, and the card has none.
    """
    if not card.task_set().placed:
        return None
    if card.camera is None:
        raise UsageError("The model finds boxes in space, but its file has no camera. Train or convert it again.")
    return np.array([card.camera], np.float32)
