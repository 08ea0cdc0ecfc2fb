"""Models for other programs: every format answers under the names of the TensorFlow Object Detection API."""
