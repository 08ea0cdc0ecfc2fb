"""The devices that train one network: one, several of this machine, or those of several processes.

`train.devices` says which of each process: "all", how many, or a list of their numbers or names, such as "gpu:1". The
batch size is that of all together. Losses, gradients, statistics of batch normalisation and the EMA are those of the
whole batch, as on one device.
"""

import contextlib
import os
from collections.abc import Callable, Sequence
from typing import Any

import keras

from centernet_tf.config import Settings
from centernet_tf.data.share import WHOLE
from centernet_tf.errors import UsageError
from centernet_tf.training.cluster import read_cluster
from centernet_tf.training.trainer import Trainer


class Devices:
    """One device, which a backend takes by itself; others change what differs.

    Attributes:
        count: Devices of all processes.
        share: What of each batch this process makes.
        trainer: The class that trains on them.
    """

    count = 1
    share = WHOLE
    trainer: type[Trainer] = Trainer

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes, scores and speaks."""
        return self.share.process == 0

    def building(self) -> contextlib.AbstractContextManager[Any]:
        """Within it, variables are those of all devices."""
        return contextlib.nullcontext()

    def running(self) -> contextlib.AbstractContextManager[Any]:
        """Within it, `fit` trains on all devices.

        Raises:
            DataError: Another process no longer answers.
        """
        return contextlib.nullcontext()

    def alone(self) -> contextlib.AbstractContextManager[Any]:
        """Within it, which is within `running`, this process works by itself, on one device."""
        return contextlib.nullcontext()

    def batches(self, made: Any) -> Any:
        """What `fit` takes, of the `tf.data.Dataset` of this process' share."""
        return made

    def agreed(self, numbers: Sequence[float]) -> list[float]:
        """The numbers of the first process, in all; each calls it, and waits for the others."""
        return list(numbers)


def open_devices(settings: Settings) -> Devices:
    """The devices of a run. Called before anything is computed, for what joins processes must be the first to start.

    Raises:
        UsageError: There are no such devices, or they cannot do what the settings ask for; or as `read_cluster`.
    """
    cluster = read_cluster(os.environ)
    if cluster is None and settings.train.devices == 1:
        return Devices()
    if keras.backend.backend() == "jax":
        from centernet_tf.training.mesh import open_mesh as opened
    else:
        from centernet_tf.training.replicas import open_replicas as opened
    devices = opened(settings, cluster)
    if settings.train.batch_size != "auto" and settings.train.batch_size % devices.count:
        raise UsageError(
            f"train.batch_size is {settings.train.batch_size}, which {devices.count} devices cannot share evenly. Set "
            f"a multiple of {devices.count}: it is the batch of all of them together."
        )
    return devices


def chosen(wanted: Any, names_of: Callable[[str | None], Sequence[str]]) -> list[int]:
    """Which devices of this process are meant.

    Args:
        wanted: `train.devices`.
        names_of: Names such as "gpu:0", in order, of all devices of this process of a kind, or of its best kind.

    Returns:
        Their places among the names of that kind.

    Raises:
        UsageError: There are no such devices.
    """
    listed = wanted if isinstance(wanted, tuple) else ()
    names = names_of(kind_of(wanted))
    if wanted == "all":
        return list(range(len(names)))
    places = list(range(wanted)) if isinstance(wanted, int) else [_place(one, names) for one in listed]
    if not places or len({*places}) < len(places) or not {*places} <= {*range(len(names))}:
        told = ", ".join(names) or "none"
        raise UsageError(
            f"train.devices is {list(listed) or wanted}, and there are: {told}. Set all, a number of devices up to "
            f"{len(names)}, or a list of different ones of one kind."
        )
    return places


def kind_of(wanted: Any) -> str | None:
    """The kind of the devices that are called by their names, "gpu" of "gpu:1"; None where none is."""
    named = [one for one in (wanted if isinstance(wanted, tuple) else ()) if isinstance(one, str)]
    return named[0].split(":")[0] if named else None


def _place(one: int | str, names: Sequence[str]) -> int:
    return one if isinstance(one, int) else names.index(one) if one in names else -1
