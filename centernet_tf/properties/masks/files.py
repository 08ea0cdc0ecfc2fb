"""Masks as PNG files of whole images, as TFOD's records hold them: 0 and 1, one bit a pixel."""

import functools
import struct
import zlib
from collections.abc import Iterator

import cv2
import numpy as np

from centernet_tf.properties.masks import runs
from centernet_tf.properties.property import Size

# Colours 0 and 1 of one bit: who decodes to 8 bits of grey reads 0 and 1, as TFOD and Model Garden expect them; grey
# of one bit would become 0 and 255.
_PALETTE = bytes([0, 0, 0, 1, 1, 1])
_BITS, _PALETTED = 1, 3
_BAND = 64  # lines that are packed together where there is nothing in them
_ADLER = 65521


def to_png(counts: np.ndarray, size: Size) -> bytes:
    """A file of an object's pixels.

    Args:
        counts: [R] runs that fit the size.
        size: Width and height of the image in pixels.
    """
    width, height = size
    left, top, right, bottom = runs.bounds(counts, height)
    top, bottom = top // _BAND * _BAND, min(-(-bottom // _BAND) * _BAND, height)
    lines = np.zeros((bottom - top, 1 + -(-width // 8)), np.uint8)  # each begins with its filter, 0 for none
    if right > left:
        first, last = left // 8, -(-right // 8)
        bits = runs.pixels(counts, size, (first * 8, top, min(last * 8, width), bottom))
        lines[:, 1 + first : 1 + last] = np.packbits(bits, axis=1)
    bands, data = (top, height - bottom), lines.tobytes()
    above, below = (b"".join(_blank(band, lines.shape[1])) for band in bands)
    check = _adler_of_zeros(
        zlib.adler32(data, _adler_of_zeros(1, bands[0] * lines.shape[1])), bands[1] * lines.shape[1]
    )
    stream = b"\x78\x01" + above + _packed(data) + below + b"\x03\x00" + struct.pack(">I", check)
    header = struct.pack(">IIBBBBB", width, height, _BITS, _PALETTED, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"PLTE", _PALETTE), (b"IDAT", stream), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*one) for one in chunks)


def from_png(data: bytes, size: Size) -> np.ndarray:
    """Runs [R] of an object: pixels above 0, of 8 or 16 bits, of any program's file.

    Raises:
        ValueError: The file cannot be read, or is of an image of another size.
    """
    grey = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH) if data else None
    if grey is None:
        raise ValueError(f"it is no image that can be read; it starts with {data[:8]!r}")
    if grey.shape != size[::-1]:
        raise ValueError(f"it has {grey.shape[1]} x {grey.shape[0]} pixels, its image {size[0]} x {size[1]}")
    left, top, width, height = cv2.boundingRect((grey > 0).view(np.uint8))
    return runs.of_pixels(grey[top : top + height, left : left + width] > 0, size, (left, top))


def _blank(lines: int, length: int) -> Iterator[bytes]:
    """Lines of nothing, packed: most of the file of a small object, and the same in many."""
    bands, rest = divmod(lines, _BAND)
    yield from (_packed_zeros(_BAND * length << bit) for bit in range(bands.bit_length()) if bands >> bit & 1)
    if rest:
        yield _packed_zeros(rest * length)


@functools.lru_cache(maxsize=64)
def _packed_zeros(count: int) -> bytes:
    return _packed(bytes(count))


def _packed(data: bytes) -> bytes:
    """Blocks of deflate that refer to nothing before them, so that any may follow any."""
    # Runs of equal bytes alone: nearly as small as the best of zlib for masks, in a third of its time.
    packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_RLE)
    return packer.compress(data) + packer.flush(zlib.Z_FULL_FLUSH)


def _adler_of_zeros(before: int, count: int) -> int:
    """zlib's checksum of what has the one before, and so many zeros behind (RFC 1950)."""
    low = before & 0xFFFF
    return (((before >> 16) + low * count) % _ADLER << 16) + low


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
