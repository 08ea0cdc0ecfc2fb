"""Names in CenterTrack's checkpoints of MobileNetV2 with the joints of DLA-34, and of torchvision's trunk."""

from centernet_tf.backbones.mobilenet import STAGES_V2
from centernet_tf.checkpoints import dla

# Ours: theirs, of a block; the first stage, which widens nothing, begins with the filter.
WIDENING = {"expand_conv": "conv.0.0", "expand_norm": "conv.0.1"}
REST = {"depthwise": "{0}.0", "depthwise_norm": "{0}.1", "project_conv": "{1}", "project_norm": "{2}"}

UNUSED = (
    (r"(backbone\.)?features\.18\.", "last convolution before the ImageNet classifier"),
    (r"(backbone\.)?classifier\.", "ImageNet classifier"),
)


def modules(backbone: str = "mobilenetv2_dla") -> dict[str, str]:
    """The official module of each layer that has weights.

    Args:
        backbone: Name in the table of backbones; the family has one member.

    Returns:
        {our layer: prefix of its keys in an official state dict}, without heads.
    """
    names = stem("image", "features.0")
    number = 0
    for stage, (expansion, _, blocks, _) in enumerate(STAGES_V2, start=1):
        for block in range(1, blocks + 1):
            number += 1
            ours, theirs = f"stage{stage}_block{block}", f"backbone.features.{number}"
            first = 0 if expansion == 1 else 1
            places = [f"conv.{first + place}" for place in range(3)]
            parts = {**(WIDENING if first else {}), **{one: name.format(*places) for one, name in REST.items()}}
            names |= {f"{ours}_{one}": f"{theirs}.{other}" for one, other in parts.items()}
    return names | dla.neck("neck.", True)


def stem(ours: str, theirs: str) -> dict[str, str]:
    """Layers of an input: {our layer: official module}.

    Args:
        ours: Our name of the input.
        theirs: Official name of its first layers.
    """
    return {f"stem_{ours}_conv": f"backbone.{theirs}.0", f"stem_{ours}_norm": f"backbone.{theirs}.1"}
