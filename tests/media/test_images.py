"""Every odd file a user may have gives RGB pixels or an error that names it."""

import io
import os

import numpy as np
import pytest
from PIL import Image

from centernet_tf.errors import DataError, UsageError
from centernet_tf.media.images import inspect_header, list_images, read_image


def picture(width=40, height=24):
    """Smooth RGB picture with four corners of different colours; [H, W, 3] uint8."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // width, y * 255 // height, 128 + 0 * x], axis=-1).astype(np.uint8)


def encode(image, kind="PNG", **options):
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def png_16_bit_rgb(pixels):
    """PNG of 16 bits a channel, which Pillow reads but does not write."""
    import struct
    import zlib

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "odd.jpg: the image file is empty (0 bytes)"),
        (b"just some text", "odd.jpg: not an image that can be read; it starts with b'just som'"),
        (encode(picture(), "JPEG")[:-20], "odd.jpg: the image cannot be decoded"),
        (encode(picture(), "JPEG")[:20], "odd.jpg: not an image that can be read"),
        (encode(picture())[:-60], "odd.jpg: the image cannot be decoded"),
        (encode(Image.fromarray(np.full((2, 2), -1.0, np.float32)), "TIFF"), "save the image with 8 or 16 bits"),
    ],
)
def test_unreadable_images_are_named(data, message, tmp_path):
    path = tmp_path / "odd.jpg"
    path.write_bytes(data)
    with pytest.raises(DataError) as error:
        read_image(path)
    assert message in str(error.value)
    with pytest.raises(DataError, match="upload 7"):
        read_image(data, name="upload 7")


def test_missing_file_and_folder_are_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.png: the image file does not exist"):
        read_image(tmp_path / "gone.png")
    with pytest.raises(DataError, match="cannot be read"):
        read_image(tmp_path)


@pytest.mark.parametrize("name", ["plain.png", "Zellen äöü 細胞 🩸.png", "two words.png"])
def test_rgb_is_read_exactly_under_any_name(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(encode(picture()))
    for source in (path, str(path), path.read_bytes()):
        image = read_image(source)
        assert image.dtype == np.uint8 and image.flags.writeable
        np.testing.assert_array_equal(image, picture())


def converted(mode):
    return Image.fromarray(picture()).convert(mode)


GREY_16 = (np.arange(40 * 24, dtype=np.uint16) * 68).reshape(24, 40)
LAYERED = np.dstack([picture(), np.where(np.arange(40) < 20, 255, 0)[None].repeat(24, 0)]).astype(np.uint8)
OVER_BLACK = np.where(np.arange(40)[None, :, None] < 20, picture(), 0).astype(np.uint8)
GREY = np.asarray(converted("L"))


@pytest.mark.parametrize(
    ("data", "expected", "tolerance", "plain"),
    [
        (encode(GREY), GREY[..., None].repeat(3, -1), 0, True),
        (encode(picture(), "JPEG", quality=95), picture(), 12, True),
        (encode(GREY_16), np.rint(GREY_16 / 257)[..., None].repeat(3, -1), 0, False),
        (png_16_bit_rgb(picture().astype(np.uint16) * 257), picture(), 0, False),
        (encode(converted("CMYK"), "JPEG", quality=95), picture(), 16, False),
        (encode(converted("P")), np.asarray(converted("P").convert("RGB")), 0, False),
        (encode(converted("1")), np.asarray(converted("1").convert("RGB")), 0, False),
        (encode(LAYERED), OVER_BLACK, 0, False),
        (
            encode(np.dstack([GREY, LAYERED[..., 3]])),
            np.where(OVER_BLACK.any(-1), GREY, 0)[..., None].repeat(3, -1),
            0,
            False,
        ),
        (encode(picture(), "BMP"), picture(), 0, True),
        (encode(picture(), "TIFF"), picture(), 0, True),
        (encode(picture(), "WEBP", lossless=True), picture(), 0, True),
    ],
    ids=["grey", "jpeg", "grey16", "rgb16", "cmyk", "palette", "bits", "alpha", "grey-alpha", "bmp", "tiff", "webp"],
)
def test_every_pixel_layout_becomes_rgb(data, expected, tolerance, plain):
    image = read_image(data)
    assert image.shape == (24, 40, 3) and image.dtype == np.uint8
    assert np.abs(image.astype(int) - expected.astype(int)).max() <= tolerance
    assert inspect_header(data).plain == plain


STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[::-1],
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: a.swapaxes(0, 1)[:, ::-1],
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_exif_orientation_is_applied(orientation, kind):
    stored = np.ascontiguousarray(STORED[orientation](picture()))
    data = encode(stored, kind, exif=exif(orientation))
    tolerance = 0 if kind == "PNG" else 25
    assert np.abs(read_image(data).astype(int) - picture()).max() <= tolerance
    assert np.abs(read_image(data, upright=False).astype(int) - stored).max() <= tolerance
    header = inspect_header(data)
    assert (header.orientation, header.upright_size) == (orientation, (40, 24))
    assert (header.height, header.width) == stored.shape[:2]
    assert header.plain == (orientation == 1)


def test_unknown_orientation_reads_as_stored():
    data = encode(picture(), exif=exif(77))
    assert inspect_header(data).orientation == 1
    np.testing.assert_array_equal(read_image(data), picture())


def test_header_of_what_is_no_image_raises():
    with pytest.raises(DataError, match=r"notes\.txt: not an image"):
        inspect_header(b"hello there", name="notes.txt")


def test_images_are_listed_sorted(tmp_path):
    with pytest.raises(UsageError, match="no images in this folder"):
        list_images(tmp_path)
    for name in ("b.PNG", "a.jpg", "notes.txt", "c.webp"):
        (tmp_path / name).touch()
    (tmp_path / "folder.jpg").mkdir()
    assert [path.name for path in list_images(tmp_path)] == ["a.jpg", "b.PNG", "c.webp"]
    with pytest.raises(UsageError, match="does not exist"):
        list_images(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="is a file, not a folder"):
        list_images(tmp_path / "a.jpg")


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(DataError, match="cannot be read: it is a folder, pipe or device"):
        read_image(tmp_path / "a.jpg")
