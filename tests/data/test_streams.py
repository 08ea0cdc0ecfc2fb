"""A stream of batches that is still read when Python ends does not abort it."""

import subprocess
import sys

import pytest

READ = """
import sys
from centernet_tf.data.augment import Augmentation
from centernet_tf.data.dataset import open_dataset
from centernet_tf.data.pipeline import Feed

batches = Feed((256, 256)).training(open_dataset(sys.argv[1]), 4, Augmentation())
streams = [iter(batches), iter(batches.take(1000)), batches.as_numpy_iterator()]
for stream in streams:
    next(stream)
print("read")
"""


@pytest.mark.long
def test_streams_may_be_alive_when_python_ends(shapes_train):
    command = [sys.executable, "-c", READ, str(shapes_train.directory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "read\n"), done.stderr
