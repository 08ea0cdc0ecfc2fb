"""An official checkpoint becomes a model: everything but names and origin is read from its tensors."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from centernet_tf.backbones import find_backbone
from centernet_tf.checkpoints.families import Family, modules_of, recognise, stems_of
from centernet_tf.checkpoints.heads import UNUSED, Heads, find_heads, head_names, stem_names
from centernet_tf.checkpoints.origins import ORIGINS, Origin, origin_of
from centernet_tf.checkpoints.state_dict import StateDict, read_state_dict
from centernet_tf.checkpoints.weights import assign, match, official_names, our_layout, unused
from centernet_tf.checkpoints.wrapped import unwrapped
from centernet_tf.errors import DataError, UsageError, closest
from centernet_tf.model.card import InputCard, ModelCard
from centernet_tf.model.file import load_model
from centernet_tf.model.network import build_network
from centernet_tf.points.centers import Centers
from centernet_tf.points.task import Head, TaskSettings
from centernet_tf.tasks import TASKS, build_tasks, check_tasks, read_task
from centernet_tf.version import VERSION


@dataclasses.dataclass(frozen=True)
class Converted:
    """A checkpoint in our form.

    Attributes:
        network: From normalised images [B, H, W, 3] to {head: [map per stack]}.
        card: What it is.
        report: What was found, loaded and left out, for people.
    """

    network: keras.Model
    card: ModelCard
    report: tuple[str, ...]


def convert(path: str | Path, **options: Any) -> Converted:
    """Converts a checkpoint file of the official code; options as in `convert_tensors`.

    Raises:
        UsageError: The file cannot be read, or as `convert_tensors`.
    """
    return convert_tensors(read_state_dict(path), str(path), **options)


def convert_tensors(
    content: StateDict,
    path: str,
    *,
    task: str | None = None,
    classes: Sequence[str] | None = None,
    arch: str | None = None,
    origin: str | None = None,
    settings: Mapping[str, Any] | None = None,
    size: tuple[int, int] | None = None,
    max_objects: int | None = None,
) -> Converted:
    """Converts the tensors of a checkpoint.

    Args:
        content: What was read.
        path: The file, for messages.
        task: What the model is for, if not for all that its heads tell.
        classes: Names in channel order; of the official data set with as many if left out.
        arch: What the network should be, official name or ours; checked against the tensors.
        origin: Key of `ORIGINS`: the data whose normalisation and input size it was trained with; by task and number
            of classes if left out, COCO's where there is none.
        settings: Of the tasks; what their heads and the origin say if left out.
        size: Height and width of the input in pixels; the origin's if left out.
        max_objects: Detections per image; the origin's if left out.

    Raises:
        UsageError: It holds another network, lacks tensors or has some too many, or an argument does not fit it.
    """
    content = dataclasses.replace(content, tensors=unwrapped(content.tensors))
    family, backbone, heads, stems = survey(content.tensors, path)
    entry = find_backbone(backbone)
    if arch and find_backbone(arch) is not entry:
        raise UsageError(f"{path}: it is a {backbone} ({entry.official}), not {arch}. Leave --arch out.")
    source = _origin(origin, heads)
    names = _class_names(classes, heads, source, path)

    channels = {**heads.our_channels, **_stem_channels(content.tensors, family, backbone, stems)}
    tasks, remarks = _tasks(task, settings or {}, heads, channels, source, path)
    built = build_tasks(tasks, Centers(len(names), class_names=names, ltrb=heads.ltrb))
    read = {head.name for head in built.heads}
    lacking = {name: value for name, value in heads.absent(tasks).items() if head_names()[name] in read}
    added = {head_names()[name]: value for name, value in lacking.items()}
    further = [head for head in built.heads if head.name in added]
    meant = {head.name: head for head in built.heads}
    own = [_as_meant(head, meant.get(head.name, head)) for head in heads.ours()]

    network = build_network(backbone, (*own, *further), built.inputs, heads.width)
    stacks = len(network.output["heatmap"])
    read = {} if family.stem is None else {ours: one for one, ours in stem_names().items() if ours in built.inputs}
    wanted = official_names(network, {**modules_of(family, backbone, read), **heads.modules(stacks)})
    assign(network, match(network, content.tensors, wanted, path))
    known = (*family.unused, *UNUSED, *_unread_stems(family, {name: stems[name] for name in stems if name not in read}))
    left = unused(content.tensors, list(wanted.values()), known, path)
    for name, value in lacking.items():
        assign(network, _constant(network, head_names()[name], value))
        left.append(f"no head '{name}': {value} in every cell, by which decoding does as the official one without it")
    left += remarks
    card = ModelCard(
        tasks={name: one.model_dump(mode="json") for name, one in tasks.items()},
        backbone=backbone,
        head_channels=heads.width,
        classes=names,
        max_objects=max_objects or source.max_objects,
        class_specific_size=heads.class_specific_size,
        ltrb=heads.ltrb,
        input=InputCard(
            height=source.size[0],
            width=source.size[1],
            stride=entry.stride,
            mean=source.mean,
            std=source.std,
            order=source.order,
            fill=source.fill,
            resample=source.resample,
        ),
        about={"version": VERSION, "converted": Path(path).name, "official": entry.official, "origin": source.title},
    )
    if size:
        card = card.model_copy(update={"input": card.input.resized(size)})
    return Converted(network, card, (*_headline(heads, card, len(wanted), len(content.tensors)), *left, *content.notes))


def survey(tensors: Mapping[str, np.ndarray], path: str) -> tuple[Family, str, Heads, dict[str, str]]:
    """Which family of networks a checkpoint belongs to, the name of our backbone, its heads and `stems_of` it.

    Raises:
        UsageError: No network that is known, or no heads of one.
    """
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    family, backbone = recognise(shapes, path)
    stems = stems_of(family, shapes)
    starts = tuple(f"{module}." for module in modules_of(family, backbone, stems).values())
    rest = {name: shape for name, shape in shapes.items() if not name.startswith(starts)}
    return family, backbone, find_heads(rest, family.stacked, path), stems


def verify(path: str | Path, model: str | Path) -> int:
    """Reads a converted model back and compares it with its checkpoint.

    Args:
        path: The checkpoint.
        model: The model file made of it.

    Returns:
        The number of weights, all equal bit for bit.

    Raises:
        DataError: Some differ.
    """
    tensors = unwrapped(read_state_dict(path).tensors)
    network, _ = load_model(model)
    family, backbone, heads, stems = survey(tensors, str(path))
    modules = {**modules_of(family, backbone, stems), **heads.modules(len(network.output["heatmap"]))}
    names = official_names(network, modules)
    wrong = [
        names[weight.path]
        for weight in network.weights
        if weight.path in names
        and not np.array_equal(keras.ops.convert_to_numpy(weight), our_layout(tensors[names[weight.path]], weight.path))
    ]
    if wrong:
        raise DataError(f"{model}: {len(wrong)} weights differ from {path}'s: {', '.join(wrong[:5])}.")
    return len(names)


def _origin(name: str | None, heads: Heads) -> Origin:
    if name is None:
        return origin_of(heads.tasks, heads.classes, heads.our_channels)
    if name not in ORIGINS:
        raise UsageError(f"Unknown origin {name!r}.{closest(name, ORIGINS)} Known: {', '.join(ORIGINS)}.")
    return ORIGINS[name]


def _class_names(given: Sequence[str] | None, heads: Heads, source: Origin, path: str) -> tuple[str, ...]:
    if given is None and heads.classes in (0, len(source.classes)):
        return source.classes
    if given is None:
        raise UsageError(
            f"{path}: its heatmap has {heads.classes} channels, unlike any official data set. Name the classes: "
            "--classes FILE, one name on each line."
        )
    if heads.classes and len(given) != heads.classes:
        raise UsageError(
            f"{path}: its heatmap has {heads.classes} channels, but {len(given)} classes were given. Name each "
            "channel, in order."
        )
    return tuple(given)


def _tasks(
    task: str | None, given: Mapping[str, Any], heads: Heads, channels: Mapping[str, int], source: Origin, path: str
) -> tuple[dict[str, TaskSettings], list[str]]:
    """The tasks of the model with their settings, and remarks on what was assumed or is missing."""
    found: dict[str, TaskSettings] = {}
    names, remarks = _complete_tasks(task, heads)
    for name, own in _shared_out(given, names).items():
        try:
            found[name], assumed = read_task(name, own).from_heads(channels, source)
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from None
        remarks += assumed
    return found, remarks


def _complete_tasks(task: str | None, heads: Heads) -> tuple[list[str], list[str]]:
    """The tasks whose heads are all there, and remarks on the others."""
    wanted = heads.tasks if task is None else (task,)
    check_tasks(wanted)
    names, remarks = [], []
    for name in wanted:
        missing = heads.missing(name)
        if missing and task:
            raise UsageError(f"Task {task!r} needs heads {', '.join(missing)}, which the file lacks. Leave --task out.")
        if missing:
            remarks.append(f"no head {', '.join(missing)}, which task {name!r} needs: boxes are decoded")
        else:
            names.append(name)
    return names or ["detect"], remarks


def _shared_out(given: Mapping[str, Any], tasks: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Settings by the tasks that have them; those that none has are the first one's, which refuses them."""
    first, known = tasks[0], {field for name in tasks for field in TASKS[name].model_fields}
    return {
        name: {key: value for key, value in given.items() if key in TASKS[name].model_fields}
        | {key: value for key, value in given.items() if name == first and key not in known}
        for name in tasks
    }


def _stem_channels(
    tensors: Mapping[str, np.ndarray], family: Family, backbone: str, stems: Mapping[str, str]
) -> dict[str, int]:
    """{our name of an input: its channels} of the image and the further inputs that a file has stems for."""
    first = family.modules(backbone)["stem_image_conv"]
    kernels = {"image": [tensors.get(f"{first}.weight")]} | {
        ours: [tensors.get(f"{module}.weight") for module in family.stem(ours, theirs).values()]
        for ours, theirs in stems.items()
    }
    return {ours: one.shape[1] for ours, found in kernels.items() for one in found if one is not None and one.ndim == 4}


def _unread_stems(family: Family, stems: Mapping[str, str]) -> list[tuple[str, str]]:
    """(regular expression, reason) of the stems of inputs that the model does not take."""
    return [
        (rf"{re.escape(module)}\..*", f"stem of the input {ours!r}, which a model of this task does not take")
        for ours, theirs in stems.items()
        for module in family.stem(ours, theirs).values()
    ]


def _as_meant(head: Head, meant: Head) -> Head:
    """A head of a file, with as many channels, as the task has it that reads it."""
    said = {name: getattr(meant, name) for name in ("at_centers", "at_cells", "context", "per_frame")}
    return dataclasses.replace(head, **said)


def _constant(network: keras.Model, head: str, value: float) -> dict[str, np.ndarray]:
    """Weights of the last layer of a head, by which its map has this value everywhere."""
    return {
        weight.path: np.full(weight.shape, value if weight.path.endswith("bias") else 0.0, np.float32)
        for weight in network.weights
        if weight.path.startswith(f"{head}_stack") and "_out/" in weight.path
    }


def _headline(heads: Heads, card: ModelCard, used: int, total: int) -> tuple[str, ...]:
    channels = ", ".join(f"{head.name} {head.channels}" for head in heads.ours())
    each = heads.width if isinstance(heads.width, dict) else {}
    width = ", ".join(f"{count} ({name})" for name, count in each.items()) if each else heads.width
    return (
        f"{card.backbone} ({card.about['official']}), heads of width {width}: {channels}",
        f"input as for {card.about['origin']}: {card.input.height}x{card.input.width}, {len(card.classes)} classes, "
        f"mean {card.input.mean}, std {card.input.std}, {card.input.order.upper()}",
        f"{used} of {total} tensors loaded",
    )
