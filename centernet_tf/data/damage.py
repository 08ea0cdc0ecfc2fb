"""What TensorFlow says of damaged records, told so that people find them."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf

from centernet_tf.data.example import DAMAGE
from centernet_tf.errors import DataError
from centernet_tf.host.bucket import Bucket

_WHERE = ("Graph execution error", "Detected at node", "File ", "<stack traces")
_DAMAGE = (*DAMAGE, tf.errors.InvalidArgumentError)


@contextlib.contextmanager
def reading(directory: Path | Bucket) -> Iterator[None]:
    """Turns what TensorFlow says of a damaged record into a DataError that names the records and the remedy."""
    try:
        yield
    except (*_DAMAGE, UnicodeDecodeError) as error:
        # TensorFlow repeats the bytes it cannot parse in its message, which may then be no text itself.
        reason = _reason(error.message) if isinstance(error, _DAMAGE) else "it is not a tf.train.Example"
        raise DataError(
            f"{directory}: a record cannot be read ({reason}). `centernet inspect {directory}` finds which."
        ) from error


def _reason(message: str) -> str:
    """The line of a message that says what is wrong; within `fit` it stands behind where in the graph it happened."""
    lines = [line.strip() for line in message.splitlines()]
    # What Python raises in a stream comes with the name of its class.
    told = next((line for line in lines if "ValueError: " in line), None)
    if told is None:
        told = next((line for line in lines if line and not line.startswith(_WHERE)), "damaged")
    return told.rpartition("ValueError: ")[2].rstrip(".")
