"""A model file with weights of float16: half the size, and read as any other, for Keras casts what it loads."""

import io
import zipfile
from pathlib import Path

import h5py
import numpy as np

from centernet_tf.errors import DataError
from centernet_tf.host.files import whole
from centernet_tf.model.archive import WEIGHTS, check_weights, open_archive

_WHEN = (1980, 1, 1, 0, 0, 0)  # of each part, so that the same weights give the same bytes


def save_half(model: Path, out: Path) -> None:
    """Writes a copy of a model whose weights are float16, whole or not at all.

    Args:
        model: A model file.
        out: The file to write.

    Raises:
        UsageError: The model is none.
        DataError: A weight is too large for float16, or the copy cannot be written.
    """
    check_weights(model)
    with open_archive(model) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts[WEIGHTS] = _halved(model, parts[WEIGHTS])
    with whole(out) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, content in parts.items():
            # HDF5 takes a kilobyte for each of hundreds of small arrays, of which packing leaves nothing.
            archive.writestr(zipfile.ZipInfo(name, _WHEN), content, zipfile.ZIP_DEFLATED)


def _halved(model: Path, content: bytes) -> bytes:
    """A file of weights with float16 in place of float32; of other types, such as seeds, nothing changes."""
    made = io.BytesIO()
    with h5py.File(io.BytesIO(content), "r") as source, h5py.File(made, "w") as target:

        def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
            if isinstance(item, h5py.Group):
                copy = target.require_group(name)
            else:
                copy = target.create_dataset(name, data=_half(model, name, item[()]))
            copy.attrs.update(item.attrs)

        target.attrs.update(source.attrs)
        source.visititems(visit)
    return made.getvalue()


def _half(model: Path, name: str, values: np.ndarray) -> np.ndarray:
    if values.dtype != np.float32:
        return values
    with np.errstate(over="ignore"):
        half = values.astype(np.float16)
    if not np.isfinite(half).all():
        raise DataError(f"{model}: weights {name!r} reach {np.abs(values).max():.3g}, which float16 does not hold.")
    return half
