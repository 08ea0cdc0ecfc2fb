"""Pure functions on boxes, points and Gaussians; no Keras models, no settings."""

from typing import Literal

# What of an image fills the width of a fixed input, or "stretched": all of it fills all of the input, each axis with a
# scale of its own. Here, for clients of servers read it and have no Keras.
Window = Literal["longer side", "width", "whole image", "stretched"]
