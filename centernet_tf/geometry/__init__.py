"""Pure functions on boxes, points and Gaussians; no Keras models, no settings."""

from typing import Literal

# What of an image fills the width of a fixed input. Here, for clients of servers read it and have no Keras.
Window = Literal["longer side", "width", "whole image"]
