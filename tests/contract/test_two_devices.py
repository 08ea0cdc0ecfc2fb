"""What `two_devices.py` tests, where TensorFlow has not computed anything yet."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from centernet_tf.tasks import TASKS


@pytest.mark.long
def test_a_step_of_every_task_on_two_devices():
    program = Path(__file__).with_name("two_devices.py")
    variables = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", program]
    ran = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0 and f"{len(TASKS)} passed" in ran.stdout, ran.stdout[-3000:]
