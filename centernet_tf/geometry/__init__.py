"""Pure functions on boxes, points and Gaussians; no Keras models, no settings."""
