"""The families of official networks, and which of them a file holds."""

import dataclasses
import re
from collections.abc import Callable, Mapping

from centernet_tf.backbones.dla import JUNCTIONS
from centernet_tf.backbones.resnet import BLOCKS, BOTTLENECK_FROM
from centernet_tf.checkpoints import dla, hourglass, mobilenet, resnet
from centernet_tf.checkpoints.heads import Shapes, stem_names
from centernet_tf.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Family:
    """One line of the table.

    Attributes:
        mark: A tensor that all its files have and no other's.
        variant: {tensor: shape} -> the backbone's name in our table.
        modules: Name of our backbone -> {our layer: official module}, heads left out.
        unused: (regular expression, reason) of tensors its files may hold in vain.
        stacked: Whether names of heads carry the number of a stack.
        trunk: Start of a trunk's names, which files of ImageNet weights do not have.
        stem: (our name of a further input, official name of its first layers) -> {our layer: official module}; None
            where no official network has further inputs.
    """

    mark: str
    variant: Callable[[Shapes], str]
    modules: Callable[[str], dict[str, str]]
    unused: tuple[tuple[str, str], ...]
    stacked: bool = False
    trunk: str = ""
    stem: Callable[[str, str], dict[str, str]] | None = None


def _resnet(shapes: Shapes) -> str:
    found = [re.match(r"layer([1-4])\.\d+\.conv1\.weight", name) for name in shapes]
    stages = [match[1] for match in found if match]
    blocks = tuple(stages.count(str(stage)) for stage in (1, 2, 3, 4))
    narrows = "layer1.0.conv3.weight" in shapes
    depth = next((n for n in BLOCKS if BLOCKS[n] == blocks and (n >= BOTTLENECK_FROM) == narrows), None)
    if depth is None:
        known = ", ".join(f"{n}: {BLOCKS[n]}" for n in BLOCKS)
        raise UsageError(f"a residual network with {blocks} blocks in its stages; expected one of {known}")
    return f"resnet{depth}{'_dcn' if 'deconv_layers.0.conv_offset_mask.weight' in shapes else ''}"


def _dla(shapes: Shapes) -> str:
    if not any("conv_offset_mask" in name for name in shapes):
        return "dla34"
    # Heads of PPDM's variants read another map, which is three times as deep or not.
    reasons = "glore.phy.0.weight" in shapes
    read = shapes.get("glore.phy.0.weight", shapes.get("hm_rel.0.weight", (0, 0)))
    context = [*(["3level"] if read[1] == 3 * JUNCTIONS[-1] else []), *(["glob"] if reasons else [])]
    return "_".join(("dla34_dcn", *context))


def _hourglass(shapes: Shapes) -> str:
    return f"hourglass104{'_pooled' if any(name.startswith('ct_cnvs.') for name in shapes) else ''}"


def _mobilenet(shapes: Shapes) -> str:
    return "mobilenetv2_dla"


FAMILIES = (
    Family("layer1.0.conv1.weight", _resnet, resnet.modules, resnet.UNUSED),
    Family("base.level2.tree1.conv1.weight", _dla, dla.modules, dla.UNUSED, trunk="base.", stem=dla.stem),
    Family(
        "backbone.features.2.conv.0.0.weight",
        _mobilenet,
        mobilenet.modules,
        mobilenet.UNUSED,
        trunk="backbone.",
        stem=mobilenet.stem,
    ),
    Family("kps.0.up1.0.conv1.weight", _hourglass, hourglass.modules, hourglass.UNUSED, stacked=True),
)


def stems_of(family: Family, shapes: Shapes) -> dict[str, str]:
    """{our name of an input: official name of its first layers} of the further inputs that a file has."""
    named = {} if family.stem is None else {ours: theirs for theirs, ours in stem_names().items()}
    return {
        ours: theirs
        for ours, theirs in named.items()
        if any(f"{module}.weight" in shapes for module in family.stem(ours, theirs).values())
    }


def modules_of(family: Family, backbone: str, stems: Mapping[str, str]) -> dict[str, str]:
    """{our layer: official module} of a backbone with the stems of `stems_of`, heads left out."""
    further = [family.stem(ours, theirs) for ours, theirs in stems.items()]
    return {**family.modules(backbone), **{layer: module for stem in further for layer, module in stem.items()}}


def recognise(shapes: Shapes, where: str) -> tuple[Family, str]:
    """Finds out which network a file is of.

    Args:
        shapes: Official names and shapes.
        where: The file, for messages.

    Returns:
        Its family and the name of the backbone in our table.

    Raises:
        UsageError: None that we know, or a variant there is not.
    """
    for family in FAMILIES:
        if family.mark in shapes or (family.trunk and family.mark.removeprefix(family.trunk) in shapes):
            try:
                return family, family.variant(shapes)
            except UsageError as error:
                raise UsageError(f"{where}: {error}.") from None
    raise UsageError(
        f"{where}: not a known network; its {len(shapes)} tensors begin with "
        f"{', '.join(list(shapes)[:3])}. Known are the official res_*, resdcn_*, dla_34, dlav0_34, mobilenet and "
        "hourglass."
    )
