"""CenterNet (Objects as Points) for TensorFlow and Keras 3."""
