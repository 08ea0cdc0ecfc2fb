"""Pixels as a browser takes them."""

import base64
from typing import Any

import cv2
import numpy as np

MOST_SIDE = 1600  # pixels; more than a page shows, and small enough to be sent at once
QUALITY = 90


def as_jpeg(image: np.ndarray, most: int = MOST_SIDE) -> bytes:
    """An image [H, W, 3] uint8 RGB as a JPEG whose longer side has at most so many pixels."""
    scale = most / max(image.shape[:2])
    if scale < 1:
        size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()


def as_picture(image: np.ndarray) -> dict[str, Any]:
    """An image [H, W, 3] uint8 RGB for JSON: its address with all of it inside, and its sides in its own pixels."""
    url = f"data:image/jpeg;base64,{base64.b64encode(as_jpeg(image)).decode()}"
    return {"url": url, "width": image.shape[1], "height": image.shape[0]}
