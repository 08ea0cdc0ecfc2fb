"""Where the official code keeps each layer of DLA-34."""

from centernet_tf.backbones.dla import DEEP, JUNCTIONS

# Ours: theirs.
UNIT = {"conv": "0", "norm": "1"}
DEFORMABLE = {"deformable": "conv", "norm": "actf.0"}
BLOCK = {"conv1": "conv1", "norm1": "bn1", "conv2": "conv2", "norm2": "bn2"}
ROOT = {"conv": "conv", "norm": "bn"}

REASONING = {
    "features": "phy",
    "shares": "theta",
    "between_nodes": "reasoning.node_conv",
    "within_nodes": "reasoning.feat_conv",
    "back": "extend",
}

UNUSED: tuple[tuple[str, str], ...] = (
    (r"(base\.)?fc\.(weight|bias)", "ImageNet classifier"),
    (
        rf"(base\.)?level[{''.join(map(str, DEEP))}]\.project\.",
        "projection around two trees that nothing reads, not even in the official code",
    ),
)


def modules(backbone: str) -> dict[str, str]:
    """The official module of each layer that has weights.

    Args:
        backbone: "dla34", "dla34_dcn" or one of its variants with a further map.

    Returns:
        {our layer: prefix of its keys in an official state dict}, without heads.
    """
    deformable = backbone.startswith("dla34_dcn")
    names = _part("stem_image", "base.base_layer", UNIT)
    for level in (0, 1):
        names |= _part(f"level{level}", f"base.level{level}", UNIT)
    for level in (2, 3, 4, 5):
        if level in DEEP:
            # Channels change in the first tree only.
            names |= _tree(f"level{level}_tree1", f"base.level{level}.tree1", True)
            names |= _tree(f"level{level}_tree2", f"base.level{level}.tree2", False)
        else:
            names |= _tree(f"level{level}", f"base.level{level}", True)
    if backbone.endswith("_glob"):
        for ours, theirs in REASONING.items():
            names |= _part(f"context_{ours}", f"glore.{theirs}", UNIT)
    return names | neck("", deformable)


def neck(start: str, deformable: bool) -> dict[str, str]:
    """{our layer: official module} of the joints that lead back up to a quarter of the input.

    Args:
        start: Of the official names.
        deformable: Whether convolutions are.
    """
    names: dict[str, str] = {}
    for number in range(len(JUNCTIONS)):
        names |= _joint(f"joint{number + 1}", f"{start}dla_up.ida_{number}", number + 1, deformable)
    return names | (_joint("last_joint", f"{start}ida_up", 2, True) if deformable else {})


def stem(ours: str, theirs: str) -> dict[str, str]:
    """Layers of a further input: {our layer: official module}.

    Args:
        ours: Our name of the input.
        theirs: Official name of its first layers.
    """
    return _part(f"stem_{ours}", f"base.{theirs}", UNIT)


def _part(ours: str, theirs: str, layers: dict[str, str]) -> dict[str, str]:
    return {f"{ours}_{one}": f"{theirs}.{other}" for one, other in layers.items()}


def _tree(ours: str, theirs: str, projects: bool) -> dict[str, str]:
    return {
        **_part(f"{ours}_tree1", f"{theirs}.tree1", BLOCK),
        **_part(f"{ours}_tree2", f"{theirs}.tree2", BLOCK),
        **_part(f"{ours}_root", f"{theirs}.root", ROOT),
        **(_part(f"{ours}_project", f"{theirs}.project", UNIT) if projects else {}),
    }


def _joint(ours: str, theirs: str, steps: int, deformable: bool) -> dict[str, str]:
    names: dict[str, str] = {}
    for step in range(1, steps + 1):
        for one, other in (("project", "proj"), ("node", "node")):
            names |= _part(f"{ours}_{one}{step}", f"{theirs}.{other}_{step}", DEFORMABLE if deformable else UNIT)
        names[f"{ours}_up{step}"] = f"{theirs}.up_{step}"
    return names
