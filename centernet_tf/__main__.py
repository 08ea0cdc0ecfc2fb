"""`python -m centernet_tf` is the `centernet` program."""

from centernet_tf.cli import main

main()
