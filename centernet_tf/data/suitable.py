"""Whether the tasks of a run learn anything from images that are changed in some way; the settings that say so."""

from typing import Any

from centernet_tf.data.augment import Augmentation
from centernet_tf.errors import UsageError
from centernet_tf.properties.fields import JITTERED, ROTATED


def check_augment(feed: Any, augment: Augmentation) -> None:
    """Raises UsageError where images would be changed so that a task learns nothing from them.

    That is where images are rotated for no task that learns from rotated ones, or by the device, which cannot, or
    although rows lie in the frames of boxes; where all are scaled or moved although distances are to be learnt; and
    where settings contradict each other.
    """
    framed = [field.name for field in feed.fields if field.motion == "patches"]
    if framed and (augment.turns or augment.fits):
        raise UsageError(
            f"augment: {' and '.join(framed)} lie in the frames of boxes, which stay upright: of turned or sheared "
            "images they would show parts that are not there. Set augment.rotate_probability to 0, and "
            "augment.geometry to window."
        )
    if augment.jitters_all and JITTERED in feed.fields:
        raise UsageError(
            "augment: every image would be scaled or moved, and from such images a task here cannot learn "
            "distances. Set augment.crop to false, augment.geometry to window, and augment.jitter_probability to "
            "0.5 as the original, or shift and scale to 0."
        )
    if augment.turns and ROTATED not in feed.fields:
        raise UsageError(
            "augment.rotate: boxes do not rotate, and no task here learns anything else from rotated images. Set "
            "augment.rotate_probability to 0."
        )
    if (feed.clip is not None or feed.window == "stretched") and feed.device_warp:
        raise UsageError(
            "The device warps single images, not frames of videos, and stretches none. Set data.device_warp to false."
        )
    if feed.device_warp and (augment.turns or augment.fits):
        raise UsageError("augment.rotate: the device does not rotate images. Set data.device_warp to false.")
    if feed.device_warp and augment.erase:
        raise UsageError(
            "augment.erase: the device erases nothing. Set augment.erase to 0, or data.device_warp to false."
        )
    if len(feed.sizes) > 1 and (feed.device_warp or any(wanted.draw for wanted in feed.inputs.values())):
        raise UsageError(
            "augment.multi_scale: what the device warps or draws has one size. Set augment.multi_scale to 0, or "
            "data.device_warp to false where that is set."
        )
    if len(feed.sizes) > 1 and JITTERED in feed.fields:
        raise UsageError(
            "augment.multi_scale: from images of changing scale a task here cannot learn distances. Set it to 0."
        )
    if feed.device_warp and feed.fill:
        raise UsageError("data.fill: the device fills with black. Set data.device_warp to false, or fill to 0.")
    if feed.device_warp and feed.resample != "bilinear":
        raise UsageError(f"data.resample: the device has no {feed.resample!r}. Set data.device_warp to false.")
    if feed.window == "stretched" and feed.resample != "bilinear":
        raise UsageError(f"data.resample: images are stretched here, without {feed.resample!r}. Leave it out.")
    if fault := augment.fault(feed.clip is not None, feed.window):
        raise UsageError(f"augment.{fault}")
    if augment.mixes:
        _check_mixes(feed, augment)


def _check_mixes(feed: Any, augment: Augmentation) -> None:
    """Raises UsageError where no input can be made of several images."""
    names = " and ".join(f"augment.{name}" for name in augment.mixes)
    hint = f"Set {names} to 0"
    if feed.clip is not None:
        raise UsageError(f"{names}: frames of videos are not mixed with others. {hint}.")
    if feed.device_warp:
        raise UsageError(f"{names}: the device warps single images. {hint}, or data.device_warp to false.")
    if augment.turns or augment.geometry != "window":
        raise UsageError(
            f"{names}: images that are turned, fitted or stretched are not mixed. {hint}, or augment.geometry to "
            "window and augment.rotate_probability to 0."
        )
    for field in feed.fields:
        if field.level == "image" and field != ROTATED:
            raise UsageError(f"{names}: an input of several images has no one {field.name}: {field.meaning}. {hint}.")
        if augment.mosaic and field.motion == "points" and not field.labels:
            raise UsageError(
                f"augment.mosaic: {field.name} ({field.meaning}) may lie in another of the four images, and no label "
                "could say so. Set augment.mosaic to 0."
            )
