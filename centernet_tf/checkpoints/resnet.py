"""Names in checkpoints of the residual networks, official `res_*` and `resdcn_*`, and of torchvision's trunks."""

from centernet_tf.backbones.resnet import BLOCKS

STEM = {"stem_image_conv": "conv1", "stem_norm": "bn1"}
BLOCK = {
    **{f"conv{n}": f"conv{n}" for n in (1, 2, 3)},
    **{f"norm{n}": f"bn{n}" for n in (1, 2, 3)},
    "shortcut_conv": "downsample.0",
    "shortcut_norm": "downsample.1",
}
# Place in the flat sequence of one level up; activations have a place too.
PLAIN = {"conv": 0, "norm": 1}
DEFORMABLE = {"deformable": 0, "deformable_norm": 1, "conv": 3, "norm": 4}

UNUSED = ((r"fc\.(weight|bias)", "ImageNet classifier"),)


def modules(backbone: str) -> dict[str, str]:
    """Our layers and their modules, for each layer that any block of this network may have; a pyramid has none."""
    depth, _, neck = backbone.removeprefix("resnet").partition("_")
    places, step = {"": (PLAIN, 3), "dcn": (DEFORMABLE, 6), "fpn": ({}, 0)}[neck]
    return {
        **STEM,
        **{
            f"stage{stage}_block{block + 1}_{ours}": f"layer{stage}.{block}.{theirs}"
            for stage, count in enumerate(BLOCKS[int(depth)], start=1)
            for block in range(count)
            for ours, theirs in BLOCK.items()
        },
        **{
            f"up{level + 1}_{ours}": f"deconv_layers.{step * level + place}"
            for level in range(3)
            for ours, place in places.items()
        },
    }
