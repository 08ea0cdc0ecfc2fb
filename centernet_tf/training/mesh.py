"""Several devices on JAX: one step that sees all of the batch, computed by all of them together."""

import contextlib
import inspect
import re
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from centernet_tf.config import Settings
from centernet_tf.data.share import Share
from centernet_tf.errors import DataError, UsageError
from centernet_tf.training.cluster import Cluster
from centernet_tf.training.devices import Devices, chosen, kind_of

# What JAX says in a process whose partners are gone; its errors have no kinds of their own.
GONE = re.compile(
    r"Gloo|NCCL|[Cc]onnection (closed|reset)|coordination service|heartbeat|UNAVAILABLE|DEADLINE_EXCEEDED"
)

SILENCE = 30  # Seconds without a sign of life after which a process counts as gone.


class Mesh(Devices):
    """Devices of Keras' distribution API, with the same weights on each and an even part of every batch."""

    def __init__(self, names: Sequence[str], processes: int, process: int):
        self.count = len(names)
        self.distribution = keras.distribution.DataParallel(devices=list(names), auto_shard_dataset=False)
        self.share = Share(process, processes, alike=processes > 1)

    def building(self) -> contextlib.AbstractContextManager[Any]:
        return self.distribution.scope()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        import jax

        try:
            with self.distribution.scope():
                yield
        except jax.errors.JaxRuntimeError as error:
            if self.share.processes == 1 or not GONE.search(str(error)):
                raise
            raise DataError(
                "Another process of this training no longer answers. Start all of them again; they go on from the last "
                f"state that was saved ({str(error).splitlines()[0][:200]})."
            ) from error

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        keras.distribution.set_distribution(None)
        try:
            yield
        finally:
            keras.distribution.set_distribution(self.distribution)

    def agreed(self, numbers: Sequence[float]) -> list[float]:
        from jax.experimental import multihost_utils

        # As integers, for JAX would round to 32 bits.
        mine = np.float64(numbers).view(np.int32)
        return np.asarray(multihost_utils.broadcast_one_to_all(mine)).view(np.float64).tolist()


def open_mesh(settings: Settings, cluster: Cluster | None) -> Mesh:
    """The devices of a run.

    Raises:
        UsageError: As `devices.chosen`; JAX is already at work, so that it cannot join other processes; or the device
            is to warp what several processes decode.
    """
    import jax

    if cluster is not None:
        if settings.data.device_warp:
            raise UsageError(
                "data.device_warp makes batches of many shapes, and several processes take one. Leave it out."
            )
        _join(cluster)
    wanted = settings.train.devices
    places = chosen(wanted, lambda kind: _names(_of(jax.process_index(), kind)))
    names = [
        f"{one.platform}:{one.id}" for process in range(jax.process_count()) for one in _at(process, wanted, places)
    ]
    return Mesh(names, jax.process_count(), jax.process_index())


def _join(cluster: Cluster) -> None:
    import jax

    if jax.distributed.is_initialized():
        return
    known = inspect.signature(jax.distributed.initialize).parameters
    soon = {"heartbeat_timeout_seconds": SILENCE} if "heartbeat_timeout_seconds" in known else {}
    try:
        jax.distributed.initialize(cluster.addresses[0], cluster.count, cluster.number, **soon)
    except RuntimeError as error:
        raise UsageError(
            f"JAX cannot join the other processes ({error}). Start all of them, and train before anything is computed."
        ) from error


def _of(process: int, kind: str | None) -> list[Any]:
    """The devices of a process, of a kind or of its best one."""
    import jax

    return [one for one in jax.devices(kind) if one.process_index == process]


def _names(devices: Sequence[Any]) -> list[str]:
    return [f"{one.platform}:{number}" for number, one in enumerate(devices)]


def _at(process: int, wanted: Any, places: Sequence[int]) -> list[Any]:
    found = _of(process, kind_of(wanted))
    if max(places) >= len(found):
        raise UsageError(
            f"train.devices: process {process} has {len(found)} devices, and this one trains on {len(places)}."
        )
    return [found[one] for one in places]
