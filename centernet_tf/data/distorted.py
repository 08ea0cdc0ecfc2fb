"""Colours of a whole clip changed as SSD and MOC do it: brightness, contrast, saturation and hue, never clipped."""

import dataclasses

import cv2
import numpy as np


@dataclasses.dataclass(frozen=True)
class Distortion:
    """How colours are changed; the order of the steps but contrast is that of the attributes.

    Attributes:
        brightness: What is added to every channel, of 255.
        saturation: Factor of the saturation in HSV.
        hue: What is added to the hue, in degrees.
        contrast: Factor of every channel.
        early: Whether contrast comes behind brightness, instead of last.
    """

    brightness: float = 0.0
    saturation: float = 1.0
    hue: float = 0.0
    contrast: float = 1.0
    early: bool = False

    @property
    def numbers(self) -> np.ndarray:
        """[5] float32, from which `distorted` works."""
        return np.array(dataclasses.astuple(self), np.float32)


PLAIN = Distortion().numbers


def draw_distortion(
    random: np.random.Generator, brightness: float, factors: tuple[float, float], hue: float, probability: float
) -> Distortion:
    """Draws a distortion, each of its steps with the same probability.

    Args:
        random: Source of chance.
        brightness: The most that is added or taken, of 255.
        factors: Smallest and largest of contrast and of saturation.
        hue: The most that the hue turns, in degrees.
        probability: Of each step.
    """

    def one(usual: float, low: float, high: float) -> float:
        return random.uniform(low, high) if random.random() < probability else usual

    early = bool(random.random() > 0.5)
    return Distortion(
        brightness=one(0.0, -brightness, brightness),
        saturation=one(1.0, *factors),
        hue=one(0.0, -hue, hue),
        contrast=one(1.0, *factors),
        early=early,
    )


def distorted(pixels: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Pixels [H, W, 3] RGB with other colours, float32; numbers as of `Distortion.numbers`."""
    brightness, saturation, hue, contrast, early = (float(one) for one in numbers)
    found = pixels.astype(np.float32) + np.float32(brightness)
    if early:
        found *= np.float32(contrast)
    # One way there and back for both; each of them alone is the same to a rounding.
    if saturation != 1 or hue != 0:
        hsv = cv2.cvtColor(found, cv2.COLOR_RGB2HSV)
        hsv[..., 1] *= np.float32(saturation)
        hsv[..., 0] += np.float32(hue)
        found = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    return found if early else found * np.float32(contrast)
