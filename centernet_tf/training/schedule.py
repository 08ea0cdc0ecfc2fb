"""The learning rate over a run, and the optimiser that follows it."""

import math

import keras
from keras import ops

from centernet_tf.config import Settings

EPSILON = 1e-8  # PyTorch's, with which the original runs.
MOMENTUM = 0.9


@keras.saving.register_keras_serializable(package="centernet_tf")
class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up, then steps down by ten or half a cosine.

    Args:
        peak: Learning rate after the warm-up.
        warmup: Steps from a hundredth of the peak up to it.
        drops: Steps from which the rate is a tenth of what it was; with a cosine, empty.
        total: Steps of the whole run where the rate follows half a cosine to zero; 0 for none.
    """

    def __init__(self, peak: float, warmup: int = 0, drops: tuple[int, ...] = (), total: int = 0):
        self.peak, self.warmup, self.drops, self.total = peak, warmup, tuple(drops), total

    def __call__(self, step):
        step = ops.cast(step, "float32")
        rate = ops.convert_to_tensor(self.peak, "float32")
        for drop in self.drops:
            rate = ops.where(step >= drop, rate * 0.1, rate)
        if self.total:
            done = ops.clip((step - self.warmup) / max(self.total - self.warmup, 1), 0.0, 1.0)
            rate = rate * 0.5 * (1 + ops.cos(math.pi * done))
        if self.warmup:
            rate = rate * ops.minimum(0.01 + 0.99 * step / self.warmup, 1.0)
        return rate

    def get_config(self):
        return {"peak": self.peak, "warmup": self.warmup, "drops": self.drops, "total": self.total}


def build_schedule(settings: Settings, steps_per_epoch: int) -> Schedule:
    """The learning rate as the settings say."""
    train = settings.train
    cosine = train.schedule == "cosine"
    return Schedule(
        peak=settings.learning_rate(),
        warmup=train.warmup_steps,
        drops=() if cosine else tuple(epoch * steps_per_epoch for epoch in train.drop_epochs),
        total=train.epochs * steps_per_epoch if cosine else 0,
    )


def continuation(before: Settings, now: Settings, steps_per_epoch: int, step: int) -> str:
    """Says what the learning rate does in a run that gets more epochs at a step: it is that of the new settings."""
    old, new = (float(build_schedule(one, steps_per_epoch)(step)) for one in (before, now))
    drops = [epoch for epoch in now.train.drop_epochs if epoch < now.train.epochs]
    how = f"drops to a tenth after epoch {' and '.join(map(str, drops))}" if drops else "has no further steps"
    if now.train.schedule == "cosine":
        how = f"follows a cosine down to epoch {now.train.epochs}, no longer to {before.train.epochs}"
    here = f"{new:.3g}" if new == old else f"{new:.3g} and not {old:.3g}"
    return (
        f"Epochs: {now.train.epochs}, until now {before.train.epochs}. The learning rate is that of a run of "
        f"{now.train.epochs} epochs from the start: it {how}, and is {here} at this step."
    )


def build_optimizer(settings: Settings, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """Adam as the original runs it, AdamW, or SGD with momentum, with what the settings add.

    Steps are batches, also where gradients accumulate over several of them.
    """
    train = settings.train
    options = {
        "learning_rate": build_schedule(settings, steps_per_epoch),
        "global_clipnorm": train.clip_norm,
        "gradient_accumulation_steps": train.accumulate if train.accumulate > 1 else None,
    }
    if train.optimizer == "adam":
        return keras.optimizers.Adam(**options, epsilon=EPSILON)
    if train.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(**options, momentum=MOMENTUM, weight_decay=train.weight_decay)
    else:
        optimizer = keras.optimizers.AdamW(**options, epsilon=EPSILON, weight_decay=train.weight_decay)
    # Decay pulls biases and normalisation towards values that mean nothing.
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer
