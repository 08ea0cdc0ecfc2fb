"""Where the official code keeps each layer of Hourglass-104."""

from centernet_tf.backbones.hourglass import INNER_BLOCKS, LEVELS, STACKS

UNUSED: tuple[tuple[str, str], ...] = ()

# Ours: theirs.
BLOCK = {"conv1": "conv1", "norm1": "bn1", "conv2": "conv2", "norm2": "bn2"}
SHORTCUT = {"shortcut_conv": "skip.0", "shortcut_norm": "skip.1"}
# Of center pooling: convolution and its normalisation.
POOLING = {
    "columns": ("p1_conv1.conv", "p1_conv1.bn"),
    "rows": ("p2_conv1.conv", "p2_conv1.bn"),
    "pooled": ("p_conv1", "p_bn1"),
    "shortcut": ("conv1", "bn1"),
    "last": ("conv2.conv", "conv2.bn"),
}
PARTS = {"side": "up1", "down": "low1", "inner": "low2", "up": "low3"}


def modules(backbone: str = "hourglass104") -> dict[str, str]:
    """The official module of each layer that has weights.

    Args:
        backbone: Name in the table of backbones, with center pooling or without.

    Returns:
        {our layer: prefix of its keys in an official state dict}, without heads.
    """
    names = {"stem_image_conv": "pre.0.conv", "stem_norm": "pre.0.bn"} | _block("stem_block", "pre.1", True)
    for stack in range(STACKS):
        name = f"stack{stack + 1}"
        names |= {f"{name}_out_conv": f"cnvs.{stack}.conv", f"{name}_out_norm": f"cnvs.{stack}.bn"}
        for depth in range(len(LEVELS)):
            names |= _level(f"{name}_level{depth + 1}", f"kps.{stack}{'.low2' * depth}", depth)
        for ours, (conv, norm) in POOLING.items() if backbone.endswith("_pooled") else ():
            names[f"{name}_center_{ours}_conv"] = f"ct_cnvs.{stack}.{conv}"
            names[f"{name}_center_{ours}_norm"] = f"ct_cnvs.{stack}.{norm}"
        if stack + 1 < STACKS:
            for end, prefix in (("first", "inters_"), ("last", "cnvs_")):
                names |= {f"{name}_{end}_conv": f"{prefix}.{stack}.0", f"{name}_{end}_norm": f"{prefix}.{stack}.1"}
            names |= _block(f"{name}_next_block", f"inters.{stack}", False)
    return names


def _level(ours: str, theirs: str, depth: int) -> dict[str, str]:
    outside, inside = LEVELS[depth]
    innermost = depth + 1 == len(LEVELS)
    counts = {"side": 2, "down": 2, "inner": INNER_BLOCKS if innermost else 0, "up": 2}
    shortcuts = {("down", 0), *([("up", 1)] if inside != outside else [])}
    names: dict[str, str] = {}
    for part, count in counts.items():
        for block in range(count):
            prefix = f"{theirs}.{PARTS[part]}.{block}"
            names |= _block(f"{ours}_{part}_block{block + 1}", prefix, (part, block) in shortcuts)
    return names


def _block(ours: str, theirs: str, shortcut: bool) -> dict[str, str]:
    return {f"{ours}_{one}": f"{theirs}.{other}" for one, other in (BLOCK | (SHORTCUT if shortcut else {})).items()}
