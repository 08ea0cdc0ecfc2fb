"""Trunks that their authors trained on ImageNet and give away: where each is, and its download, once."""

import hashlib
import re
from pathlib import Path

import keras

from centernet_tf.errors import UsageError

TORCHVISION = "https://download.pytorch.org/models"
# The files that the original starts from; the end of a name is the start of the file's SHA-256.
TRUNKS = {
    "resnet18": f"{TORCHVISION}/resnet18-5c106cde.pth",
    "resnet34": f"{TORCHVISION}/resnet34-333f7ec4.pth",
    "resnet50": f"{TORCHVISION}/resnet50-19c8e357.pth",
    "resnet101": f"{TORCHVISION}/resnet101-5d3b4d8f.pth",
    "resnet152": f"{TORCHVISION}/resnet152-b121ed2d.pth",
    "dla34": "http://dl.yf.io/dla/models/imagenet/dla34-ba72cf86.pth",
}


def trunk_of(backbone: str) -> str | None:
    """Key of `TRUNKS` for a backbone of the table, whatever neck it has; None where nobody gives one away."""
    plain = re.match(r"[a-z]+\d+", backbone)
    return plain[0] if plain and plain[0] in TRUNKS else None


def trunk_file(name: str, folder: Path | None = None) -> Path:
    """The file of a trunk, downloaded where it is not there yet.

    Args:
        name: Key of `TRUNKS`.
        folder: Keeps it in models/; None for that of Keras, ~/.keras.

    Raises:
        UsageError: It cannot be downloaded, or what came is something else.
    """
    address = TRUNKS[name]
    file = address.rpartition("/")[2]
    advice = f"Fetch {file} on another machine and set weights to its path."
    try:
        path = Path(keras.utils.get_file(file, address, cache_subdir="models", cache_dir=folder))
    except Exception as error:  # Keras raises a bare one where a download fails.
        what = " ".join(str(error).split())
        raise UsageError(f"weights: imagenet: the trunk of {name} cannot be downloaded ({what}). {advice}") from error
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if not found.startswith(expected := Path(file).stem.rpartition("-")[2]):
        path.unlink()
        raise UsageError(
            f"weights: imagenet: {address} gave a file whose SHA-256 starts with {found[: len(expected)]}, expected "
            f"{expected}; it was deleted. {advice}"
        )
    return path
