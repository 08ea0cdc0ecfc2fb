"""Ends streams of batches that are still alive when Python ends, so that their threads do not abort the process."""

import atexit
import functools
import gc

import tensorflow as tf


@functools.cache
def end_all_at_exit() -> None:
    """From now on, `end_all` runs before Python ends; further calls change nothing."""
    atexit.register(end_all)


def end_all() -> None:
    """Ends every stream of tf.data that is still read, whoever holds it; it cannot be read further.

    Its threads call Python to prepare images. One that does so while Python shuts down aborts the process ("terminate
    called without an active exception"), or waits for ever. tf.data has no call that ends a stream: it ends with the
    last reference to it, which may lie in a variable of the main program, in a traceback, or in Keras.
    """
    streams = [one for one in gc.get_objects() if issubclass(type(one), tf.data.Iterator)]
    while streams:
        vars(streams.pop()).clear()
