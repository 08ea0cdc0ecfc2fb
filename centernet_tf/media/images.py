"""Image files in, RGB pixels out: one reader for everything a user may point at."""

import io
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from centernet_tf.errors import DataError, UsageError
from centernet_tf.host.reading import printable
from centernet_tf.media import remote

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")

_ORIENTATION_TAG = 0x0112
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_JPEG_START, _JPEG_SCAN = b"\xff\xd8", b"\xda"
# Data that no JPEG needs: bytes that stand for pixels, and all eight markers of a restart, in case it has restarts.
_SPARE = b"".join(bytes(range(1, 250)) + bytes([0xFF, 0xD0 + number]) for number in (*range(8), *range(8)))
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Header:
    """What an image file says of itself before its pixels are decoded.

    Attributes:
        format: "jpeg", "png", "gif", "webp", ...; lower case.
        width: Pixels as stored, before the EXIF orientation is applied.
        height: Pixels as stored, before the EXIF orientation is applied.
        mode: Pillow's name of the pixel layout: "RGB", "L" (grey), "P" (palette), "RGBA", "CMYK", "I;16", ...
        bits: Bits of one channel.
        alpha: Whether any pixel may be transparent.
        orientation: EXIF orientation, 1 to 8; 1 is upright, and so is a file without one.
    """

    format: str
    width: int
    height: int
    mode: str
    bits: int
    alpha: bool
    orientation: int

    @property
    def plain(self) -> bool:
        """Whether every decoder gives the same 8-bit RGB pixels: upright grey or RGB without transparency."""
        return self.mode in ("L", "RGB") and self.bits == 8 and not self.alpha and self.orientation == 1

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height in pixels once the EXIF orientation is applied."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)


def read_image(source: str | Path | bytes, name: str | None = None, *, upright: bool = True) -> np.ndarray:
    """Reads one image as 8-bit RGB.

    Grey is repeated over the channels, a palette looked up, CMYK converted, 16 bits scaled to 8 (65535 becomes 255,
    not clipped) and transparency laid over black.

    Args:
        source: File, or the bytes of one.
        name: What errors call the image; the path where absent.
        upright: Apply the EXIF orientation, as viewers do; False gives the pixels as stored.

    Returns:
        [H, W, 3] uint8, RGB.

    Raises:
        DataError: The file is missing, empty, cut off or not an image.
    """
    name = name or ("image" if isinstance(source, bytes) else printable(source))
    data = read_bytes(source, name)
    image = _open(data, name)
    try:
        orientation = _orientation(image) if upright else 1
        image.load()
        width, height = image.size
        corner = np.asarray(image.crop((max(width - 8, 0), max(height - 8, 0), width, height)))
        if lacks_data(data, corner, lambda more: np.asarray(Image.open(io.BytesIO(more)))):
            raise ValueError("its header promises more pixels than it has")
        rgb = _to_rgb(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(
            f"{name}: the image cannot be decoded ({error}). The file is probably cut off or damaged; "
            "copy it again or remove it."
        ) from error
    return np.array(rgb.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else rgb)  # [H, W, 3]


def lacks_data(data: bytes, corner: np.ndarray, decode: Callable[[bytes], np.ndarray]) -> bool:
    """Whether a JPEG ends before its last pixel, as where its header was changed. Decoders fill the rest with grey.

    Only where the last corner is that grey, the image is decoded again, with spare data at the end of its first scan,
    of which a whole image makes no use.

    Args:
        data: Bytes of the file; other formats than JPEG lack nothing.
        corner: The last pixels of the last rows as decoded, 8x8.
        decode: The same decoder, bytes of a file to its pixels.
    """
    # In CMYK, the grey may be inverted.
    if not data.startswith(_JPEG_START) or corner.min() < 127 or corner.max() > 128:
        return False
    end = _end_of_first_scan(data)
    return not np.array_equal(decode(data), decode(data[:end] + _SPARE + data[end:]))


def inspect_header(data: bytes, name: str = "image") -> Header:
    """Reads what an image file says of itself; no pixel is decoded.

    Args:
        data: Bytes of the whole file.
        name: What errors call the image.

    Raises:
        DataError: The bytes are empty or not an image.
    """
    image = _open(data, name)
    # A phone's multi-picture file is a JPEG with more JPEGs behind it.
    kind = {"MPO": "jpeg"}.get(image.format, image.format.lower())
    return Header(
        format=kind,
        width=image.width,
        height=image.height,
        mode=image.mode,
        bits=_bits(data, image.mode),
        alpha=image.has_transparency_data,
        orientation=_orientation(image),
    )


def read_bytes(source: str | Path | bytes, name: str | None = None) -> bytes:
    """Reads the whole file, or what an address such as gs:// holds; bytes are handed through.

    Raises:
        DataError: The file is missing or cannot be read.
    """
    if isinstance(source, bytes):
        return source
    if isinstance(source, str) and remote.scheme_of(source):
        return remote.read_file(source)
    shown = printable(source)
    where = f" ({shown})" if name and name != shown else ""
    name = name or shown
    try:
        if stat.S_ISREG(Path(source).stat().st_mode):  # a pipe would wait for ever, a device may never end
            return Path(source).read_bytes()
    except FileNotFoundError as error:
        raise DataError(
            f"{name}: the image file does not exist{where}. Check the path, or remove its entry."
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL, or with half a character
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{name:.200}: the image file cannot be read{where:.300} ({reason}).") from error
    raise DataError(f"{name:.200}: the image file cannot be read{where:.300}: it is a folder, pipe or device.")


def list_images(folder: str | Path) -> list[Path]:
    """Lists the image files directly in a folder, sorted by name.

    Raises:
        UsageError: There is no such folder, or it holds no image.
    """
    folder = Path(folder)
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.is_file() else "does not exist"
        raise UsageError(f"{folder}: the image folder {what}. Give the folder that holds the images.")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    if not found:
        raise UsageError(f"{folder}: no images in this folder. Known are files that end in {', '.join(SUFFIXES)}.")
    return found


def _open(data: bytes, name: str) -> Image.Image:
    if not data:
        raise DataError(f"{name}: the image file is empty (0 bytes). Copy it again or remove it.")
    try:
        return Image.open(io.BytesIO(data))
    except Image.DecompressionBombError as error:
        raise DataError(f"{name}: the image is too large to be read safely ({error}). Make it smaller.") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(
            f"{name}: not an image that can be read; it starts with {data[:8]!r}. "
            "Expected a whole JPEG, PNG, WebP, BMP, GIF or TIFF; convert it, copy it again or remove it."
        ) from error


def _end_of_first_scan(data: bytes) -> int:
    """Where the first scan of a JPEG ends, which has some of each pixel, in progressive files too."""
    place, scanning = 2, False
    while (place := data.find(b"\xff", place)) >= 0:
        kind = data[place + 1 : place + 2]
        if kind == b"\xff":
            place += 1
        elif kind == b"\x00" or b"\xd0" <= kind <= b"\xd7":  # bytes of pixels, and restarts among them
            place += 2
        elif scanning or kind == b"":
            return place
        else:
            scanning = kind == _JPEG_SCAN
            place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return len(data)


def _orientation(image: Image.Image) -> int:
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # Pillow raises many kinds on a damaged EXIF block; viewers show such files as stored, so do we.
        return 1
    return orientation if orientation in _UPRIGHT else 1


def _bits(data: bytes, mode: str) -> int:
    # Pillow shows 16-bit RGB PNG as 8-bit RGB, so the depth comes from the PNG header itself.
    if data.startswith(_PNG_SIGNATURE) and len(data) > 24:
        return data[24]
    if mode.startswith("I;16"):
        return 16
    return {"1": 1, "I": 32, "F": 32}.get(mode, 8)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F" or image.mode.startswith("I"):
        return Image.fromarray(_scale_to_8_bit(np.asarray(image))).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, image).convert("RGB")
    return image.convert("RGB")


def _scale_to_8_bit(pixels: np.ndarray) -> np.ndarray:
    values = pixels.astype(np.float64)
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > 65535:
        raise ValueError("pixels of 32 bits outside 0 to 65535; save the image with 8 or 16 bits")
    return np.rint(values / 257).astype(np.uint8)
