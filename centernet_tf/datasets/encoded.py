"""Makes of any image the JPEG or PNG bytes that a record holds, and makes sure that they decode."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from centernet_tf.errors import DataError
from centernet_tf.media.images import Header, inspect_header, lacks_data, read_bytes, read_image

JPEG_QUALITY = 95


@dataclass(frozen=True)
class EncodedImage:
    """An image as a record holds it.

    Attributes:
        data: File that decodes to upright 8-bit grey or RGB.
        format: "jpeg" or "png".
        width: Pixels.
        height: Pixels.
        change: Why the file was not stored byte for byte; None where it was.
    """

    data: bytes
    format: str
    width: int
    height: int
    change: str | None


def to_encoded(source: Path | bytes | np.ndarray, name: str, declared: tuple[int, int] | None) -> EncodedImage:
    """Prepares an image for a record and decodes it once in full, so that damaged files stay out.

    Upright 8-bit grey and RGB in JPEG or PNG stays byte for byte. Everything else is encoded anew: what was a JPEG as
    JPEG of quality 95 without chroma subsampling, the rest as PNG.

    A photo that is stored lying down, with an EXIF note to turn it, is turned where the annotation was made for the
    turned size, and keeps its pixels, without the note, where it was made for the stored size. Where the size does
    not tell (none declared, a square, or a turn by 180 degrees) it is turned, for that is what viewers show.

    Args:
        source: The file, its bytes, or pixels [H, W, 3] uint8 RGB.
        name: What errors call the image.
        declared: Width and height in pixels that the annotation was made for, where it says.

    Raises:
        DataError: The image is missing, damaged, or of another size than declared.
    """
    if isinstance(source, np.ndarray):
        return _from_pixels(source, name, declared)
    data = read_bytes(source, name)
    header = inspect_header(data, name)
    upright = _upright(header, name, declared)
    change = _change(header, upright, declared)
    if change is None:
        _decode(data, header.format, name)
        return EncodedImage(data, header.format, header.width, header.height, None)
    pixels = read_image(data, name, upright=upright)
    kind = "jpeg" if header.format == "jpeg" else "png"
    return EncodedImage(_encode(pixels, kind), kind, pixels.shape[1], pixels.shape[0], change)


def _from_pixels(pixels: np.ndarray, name: str, declared: tuple[int, int] | None) -> EncodedImage:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise DataError(f"{name}: pixels are {pixels.dtype} {list(pixels.shape)}; expected uint8 [H, W, 3] RGB.")
    height, width = pixels.shape[:2]
    if declared not in (None, (width, height)):
        raise _wrong_size(name, declared, f"{width} x {height}")
    return EncodedImage(_encode(pixels, "png"), "png", width, height, None)


def _upright(header: Header, name: str, declared: tuple[int, int] | None) -> bool:
    if declared is None or declared == header.upright_size:
        return True
    if declared == (header.width, header.height):
        return False
    size = f"{header.width} x {header.height}"
    if header.upright_size != (header.width, header.height):
        size += " (or {} x {} once turned by its EXIF orientation)".format(*header.upright_size)
    raise _wrong_size(name, declared, size)


def _wrong_size(name: str, declared: tuple[int, int], size: str) -> DataError:
    return DataError(
        f"{name}: annotated for {declared[0]} x {declared[1]} pixels, but the image has {size}; "
        "it was probably resized or turned after it was annotated"
    )


def _change(header: Header, upright: bool, declared: tuple[int, int] | None) -> str | None:
    if header.orientation != 1:
        if not upright:
            return "EXIF orientation removed, since the boxes fit the stored pixels"
        told = declared is not None and header.upright_size != (header.width, header.height)
        return "turned upright by EXIF" if told else "rotated upright by EXIF, although the annotated size fits both"
    if header.alpha:
        return "transparency laid over black"
    if header.bits > 8:
        return f"{header.bits} bits to 8"
    if not header.plain:
        return f"{header.mode} to RGB"
    return None if header.format in ("jpeg", "png") else f"{header.format} to png"


def _decode(data: bytes, kind: str, name: str) -> None:
    # TensorFlow's own decoders, for training reads with them, and they refuse more damaged files than Pillow.
    def decode(file: bytes) -> np.ndarray:
        return (tf.io.decode_jpeg if kind == "jpeg" else tf.io.decode_png)(file, channels=3).numpy()

    try:
        if lacks_data(data, decode(data)[-8:, -8:], decode):
            raise DataError(f"{name}: the JPEG image ends early; its header promises more pixels than the file has")
    except tf.errors.InvalidArgumentError as error:
        raise DataError(
            f"{name}: the {kind.upper()} image cannot be decoded in full; the file is probably cut off or damaged"
        ) from error


def _encode(pixels: np.ndarray, kind: str) -> bytes:
    stream = io.BytesIO()
    options = {"quality": JPEG_QUALITY, "subsampling": 0} if kind == "jpeg" else {}
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()
