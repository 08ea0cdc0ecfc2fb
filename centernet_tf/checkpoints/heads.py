"""Heads of official checkpoints: which there are, how wide, and for which task."""

import dataclasses
import re
from collections.abc import Iterable, Mapping

from centernet_tf.errors import UsageError, closest
from centernet_tf.points.task import Head
from centernet_tf.tasks import TASKS

# Official name: ours, of the heads that every task has (Objects as Points, official options).
SHARED = {"hm": "heatmap", "wh": "size", "reg": "offset"}

# Heads that no task here reads, and what they tell.
UNREAD = {
    "velocity": "metres per second in the camera's frame, as nuScenes has them",
    "nuscenes_att": "attributes of nuScenes, such as moving or parked",
}
UNUSED = tuple((rf"{name}\.", f"head {name!r}, which no task here has: {what}") for name, what in UNREAD.items())

SINGLE = r"(?P<head>[a-z]\w*)\.(?:(?P<part>[02])\.)?(?:weight|bias)"
STACKED = r"(?P<head>[a-z]\w*)\.(?P<stack>\d)\.(?P<part>0\.conv|1)\.(?:weight|bias)"

Shapes = Mapping[str, tuple[int, ...]]


def head_names() -> dict[str, str]:
    """{official name: ours} of the heads of all tasks. Those with "hm" in their official names score cells."""
    forms = (form for name in TASKS for form in forms_of(name))
    own = {theirs: ours for form in forms for theirs, ours in form.items()}
    return SHARED | own | {theirs: ours for settings in TASKS.values() for theirs, ours in settings.companions.items()}


def forms_of(task: str) -> tuple[Mapping[str, str], ...]:
    """{official name: ours} of the heads that only this task has, of each form that its checkpoints may have."""
    return (TASKS[task].official, *TASKS[task].forms)


def stem_names() -> dict[str, str]:
    """{official name: our name of the input} of the first layers of all tasks' further inputs."""
    return {theirs: ours for settings in TASKS.values() for theirs, ours in settings.stems.items()}


@dataclasses.dataclass(frozen=True)
class Heads:
    """The heads of one checkpoint.

    Attributes:
        channels: {official name: channels}, in the file's order.
        width: Of the hidden 3x3 convolution, {our name: width} where they differ; 0 where there is none.
        stacked: Whether names carry the number of a stack, as the hourglass has them.
    """

    channels: dict[str, int]
    width: int | dict[str, int]
    stacked: bool

    @property
    def tasks(self) -> tuple[str, ...]:
        """Our names of the tasks: all with a head that only they have."""
        own = (name for name in TASKS if any(head in self.channels for form in forms_of(name) for head in form))
        return tuple(own) or ("detect",)

    def missing(self, task: str) -> list[str]:
        """Official heads that the task needs and the file lacks."""
        form = max(forms_of(task), key=lambda form: len({*form} & {*self.channels}))
        return [head for head in form if head not in self.channels and head not in TASKS[task].absent]

    def absent(self, tasks: Iterable[str]) -> dict[str, float]:
        """{official name: value of all cells} of the heads that the file lacks and need not have."""
        own = {"reg": 0.5}  # Without an offset, the official decoder takes the cell's middle.
        for task in tasks:
            own |= TASKS[task].absent
        return {name: value for name, value in own.items() if name not in self.channels}

    @property
    def our_channels(self) -> dict[str, int]:
        """{our name: channels}."""
        names = head_names()
        return {names[name]: count for name, count in self.channels.items()}

    @property
    def classes(self) -> int:
        """Channels of the heatmap; 0 where the file has none."""
        return self.channels.get("hm", 0)

    @property
    def class_specific_size(self) -> bool:
        """Whether every class has its own two channels of size (official option cat_spec_wh)."""
        return self.channels.get("wh", 2) != 2 and not self.ltrb

    @property
    def ltrb(self) -> bool:
        """Whether the size has the distances to the four edges (official option ltrb, of trackers).

        Four numbers can also be the sizes of two classes, in the code of all other tasks.
        """
        return self.channels.get("wh") == 4 and (self.classes != 2 or any(TASKS[name].edges for name in self.tasks))

    def ours(self) -> tuple[Head, ...]:
        """As our networks name and start them."""
        names = head_names()
        return tuple(Head(names[name], count, heatmap="hm" in name) for name, count in self.channels.items())

    def modules(self, stacks: int) -> dict[str, str]:
        """{our layer: official module} of all heads in the file."""
        return head_modules(self.channels, stacks, self.stacked, not self.width)


def head_modules(names: Iterable[str], stacks: int, stacked: bool, direct: bool) -> dict[str, str]:
    """Where the official code keeps the layers of heads.

    Args:
        names: Official names, keys of `head_names`.
        stacks: Maps of each head.
        stacked: Whether names carry the number of a stack.
        direct: Whether there is no hidden convolution.

    Returns:
        {our layer: official module}.
    """
    found, ours = {}, head_names()
    for name in names:
        for stack in range(stacks):
            hidden, last = f"{name}.0", name if direct else f"{name}.2"
            if stacked:
                hidden, last = f"{name}.{stack}.0.conv", f"{name}.{stack}.1"
            found[f"{ours[name]}_stack{stack + 1}_conv"] = hidden
            found[f"{ours[name]}_stack{stack + 1}_out"] = last
    return found


def find_heads(shapes: Shapes, stacked: bool, where: str) -> Heads:
    """Finds the heads among tensors.

    Args:
        shapes: Official names and shapes of the tensors, those of the backbone left out.
        stacked: Whether names carry the number of a stack.
        where: The file, for messages.

    Raises:
        UsageError: No heatmap, a head we have no name for, or hidden convolutions in some of them only.
    """
    channels: dict[str, int] = {}
    widths: dict[str, int] = {}
    for key, shape in shapes.items():
        match = re.fullmatch(STACKED if stacked else SINGLE, key)
        if match is None or not key.endswith(".weight") or len(shape) != 4:
            continue
        name, hidden = match["head"], match["part"] in ("0", "0.conv")
        if name in UNREAD:
            continue
        if hidden:
            widths[name] = shape[0]
        else:
            channels[name] = shape[0]
    if extreme := sorted({"hm_t", "hm_l", "hm_b", "hm_r"} & channels.keys()):
        raise UsageError(
            f"{where}: heads {', '.join(extreme)} find extreme points (the original's task exdet), which no task here "
            f"does. Its trunk alone starts a training: set weights: {where} in the settings of `centernet train`."
        )
    without = {head for name in TASKS if "hm" in TASKS[name].absent for form in forms_of(name) for head in form}
    if "hm" not in channels and not without & {*channels}:
        raise UsageError(
            f"{where}: no head 'hm', so nothing that detects. Weights of a trunk alone start a training: set "
            f"weights: {where} in the settings of `centernet train`."
        )
    _check_names(channels, where)
    names = head_names()
    each = {names[name]: widths.get(name, 0) for name in channels}
    if 0 in each.values() and any(each.values()):
        without = ", ".join(name for name in channels if name not in widths)
        raise UsageError(
            f"{where}: heads without a hidden convolution, {without}, beside others; expected all or none."
        )
    if channels.get("wh", 2) not in (2, 4, 2 * channels.get("hm", 1)):
        raise UsageError(
            f"{where}: 'wh' has {channels['wh']} channels, expected 2, 4 for the edges, or 2 for each of "
            f"{channels['hm']} classes."
        )
    width = each.get("heatmap", next(iter(each.values())))
    return Heads(channels, width if set(each.values()) == {width} else each, stacked)


def _check_names(names: Iterable[str], where: str) -> None:
    known = head_names()
    for name in names:
        if name not in known:
            raise UsageError(f"{where}: unknown head {name!r}.{closest(name, known)} Known: {', '.join(known)}.")
