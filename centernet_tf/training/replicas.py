"""Several devices on TensorFlow: a replica of the network on each, which runs the step on its part of the batch."""

import contextlib
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from centernet_tf.config import Settings
from centernet_tf.data.share import Share
from centernet_tf.errors import DataError, UsageError
from centernet_tf.losses import summed_over_devices
from centernet_tf.training.cluster import Cluster
from centernet_tf.training.devices import Devices, chosen, kind_of
from centernet_tf.training.trainer import Trainer

# What TensorFlow raises in a process whose partners are gone.
GONE = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.DeadlineExceededError)


class ReplicatedTrainer(Trainer):
    """A `Trainer` that is created and compiled within a strategy's scope.

    Each replica has the loss of the whole batch, by `losses.batch_sum`. Its gradient, of a sum over replicas, is that
    of all replicas' losses, so that the loss is divided by their number before Keras adds up what each replica found.
    """

    def __init__(self, network: keras.Model, *arguments: Any, **settings: Any):
        synchronize(network)
        super().__init__(network, *arguments, **settings)

    def compile(self, optimizer: keras.optimizers.Optimizer, **settings: Any) -> None:
        if optimizer.global_clipnorm:
            _clip_sums(optimizer, self.distribute_strategy.num_replicas_in_sync)
        super().compile(optimizer, **settings)

    def compute_loss(self, *arguments: Any, **named: Any) -> Any:
        with summed_over_devices(_sum_over_replicas):
            loss = super().compute_loss(*arguments, **named)
        return loss / self.distribute_strategy.num_replicas_in_sync

    def train_step(self, data: Any) -> dict[str, Any]:
        logs = super().train_step(data)
        if not isinstance(self.distribute_strategy, tf.distribute.MultiWorkerMirroredStrategy):
            return logs
        # Between processes Keras takes means over the first axis, of numbers that have none.
        return {name: tf.reshape(value, (1,)) for name, value in logs.items()}

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Nothing: it is built; Keras would reduce a batch that lies in several processes, and fail."""


def _sum_over_replicas(value: Any) -> Any:
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, value)


def synchronize(network: keras.Model) -> None:
    """Makes batch normalisation take the statistics of all replicas' parts of a batch."""
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            synchronize(layer)
        elif isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True


def _clip_sums(optimizer: keras.optimizers.Optimizer, replicas: int) -> None:
    """Clips the gradient of the whole batch; Keras clips each replica's own and adds up what is left.

    Each replica gives the same gradient then, an equal part of the sum, which an equal part of the norm bounds.
    """
    apply, optimizer.global_clipnorm = optimizer.apply, optimizer.global_clipnorm / replicas

    def apply_sums(gradients: Sequence[Any], variables: Sequence[Any]) -> None:
        known = [(one, variable) for one, variable in zip(gradients, variables) if one is not None]
        sums = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, [one for one, _ in known])
        apply([one / replicas for one in sums], [variable for _, variable in known])

    optimizer.apply = apply_sums


class Replicas(Devices):
    """Replicas under a strategy of TensorFlow."""

    trainer = ReplicatedTrainer

    def __init__(self, strategy: tf.distribute.Strategy, processes: int, process: int):
        self.strategy, self.count = strategy, strategy.num_replicas_in_sync
        self.share = Share(process, processes, pieces=self.count // processes)

    def building(self) -> contextlib.AbstractContextManager[Any]:
        return self.strategy.scope()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        try:
            yield
        except GONE as error:
            if self.share.processes == 1:
                raise
            raise DataError(
                "Another process of this training no longer answers. Start all of them again; they go on from the last "
                "state that was saved."
            ) from error

    def batches(self, made: tf.data.Dataset) -> Any:
        # Batches come as small as a replica's, so nothing is left to cut for TensorFlow, which knows no shares.
        return self.strategy.distribute_datasets_from_function(lambda context: made)

    def agreed(self, numbers: Sequence[float]) -> list[float]:
        told = _of_first(self.strategy, tf.constant(numbers, tf.float64))
        return self.strategy.experimental_local_results(told)[0].numpy().tolist()


@tf.function
def _of_first(strategy: tf.distribute.Strategy, mine: Any) -> Any:
    """Of numbers that each replica has the first one's, in all."""

    def told() -> Any:
        leading = tf.equal(tf.distribute.get_replica_context().replica_id_in_sync_group, 0)
        return _sum_over_replicas(tf.where(leading, mine, tf.zeros_like(mine)))

    return strategy.run(told)


def open_replicas(settings: Settings, cluster: Cluster | None) -> Replicas:
    """The replicas of a run.

    Raises:
        UsageError: The settings ask for what Keras cannot do with replicas; as `devices.chosen`; or TensorFlow is
            already at work, so that it cannot join other processes.
    """
    check(settings)
    if cluster is None:
        wanted = settings.train.devices
        names = _logical(kind_of(wanted))
        return Replicas(mirrored(tuple(names[one] for one in chosen(wanted, _logical))), 1, 0)
    if len(cluster.addresses) < cluster.count:
        raise UsageError(
            f"TensorFlow needs the addresses of all {cluster.count} processes, not that of the first alone. List them "
            "all, with commas between, or train on Keras' JAX backend."
        )
    try:
        _show(settings.train.devices)
        strategy = _joined(cluster)
    except RuntimeError as error:
        raise UsageError(
            f"TensorFlow cannot join the other processes any more ({error}). Train before anything else is computed."
        ) from error
    return Replicas(strategy, cluster.count, cluster.number)


@functools.cache
def mirrored(names: tuple[str, ...]) -> tf.distribute.Strategy:
    """One strategy for all trainings of a process: a second one numbers its sums as the first did, and they collide."""
    return tf.distribute.MirroredStrategy(names)


@functools.cache
def _joined(cluster: Cluster) -> tf.distribute.Strategy:
    """As `mirrored`, of several processes."""
    workers = tf.train.ClusterSpec({"worker": list(cluster.addresses)})
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        workers, "", "worker", cluster.number, rpc_layer="grpc"
    )
    return tf.distribute.MultiWorkerMirroredStrategy(resolver)


def check(settings: Settings) -> None:
    """Raises UsageError where the settings ask for what Keras cannot do with replicas on TensorFlow."""
    train = settings.train
    jax = "or train on Keras' JAX backend, which can (KERAS_BACKEND=jax)"
    if train.xla is True:
        raise UsageError(f"train.xla: true does not work with several devices on TensorFlow. Leave it out, {jax}.")
    if train.accumulate > 1:
        raise UsageError(
            f"train.accumulate: {train.accumulate} does not work with several devices on TensorFlow. Set 1, {jax}."
        )
    if train.precision == "mixed_float16":
        raise UsageError(
            "train.precision: mixed_float16 gives weights that are no numbers with several devices on TensorFlow. Set "
            f"mixed_bfloat16, {jax}."
        )


def _logical(kind: str | None) -> list[str]:
    """Names of all devices of a kind, or of GPUs where there are any, else of processors."""
    return _names(tf.config.list_logical_devices, kind)


def _names(found: Any, kind: str | None) -> list[str]:
    kinds = [kind] if kind else ["gpu", "cpu"]
    return next((names for one in kinds if (names := _numbered(one, found(one.upper())))), [])


def _numbered(kind: str, found: Sequence[Any]) -> list[str]:
    return [f"{kind}:{number}" for number in range(len(found))]


def _show(wanted: Any) -> None:
    """Hides devices of this process that a strategy of several processes would take, too."""
    names = _names(tf.config.list_physical_devices, kind_of(wanted))
    places = chosen(wanted, lambda kind: names)
    kind = names[0].split(":")[0].upper()
    physical = tf.config.list_physical_devices(kind)
    tf.config.set_visible_devices([physical[one] for one in places], kind)
