"""Prints docs/settings.md: `python -m centernet_tf.config > docs/settings.md`."""

from centernet_tf.config.page import page

if __name__ == "__main__":
    print(page(), end="")
