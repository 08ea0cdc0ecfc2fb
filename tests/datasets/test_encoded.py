"""Plain files stay byte for byte; odd ones become plain; damaged ones are refused."""

import io

import numpy as np
import pytest
from PIL import Image

from centernet_tf.datasets.encoded import to_encoded
from centernet_tf.errors import DataError
from centernet_tf.media.images import inspect_header, read_image


def pixels(width=40, height=24):
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // width, y * 255 // height, 128 + 0 * x], axis=-1).astype(np.uint8)


def encode(image, kind="PNG", orientation=1, **options):
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    if orientation != 1:
        options["exif"] = Image.Exif()
        options["exif"][0x0112] = orientation
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_plain_files_stay_byte_for_byte(kind, mode, tmp_path):
    data = encode(Image.fromarray(pixels()).convert(mode), kind)
    path = tmp_path / "a"
    path.write_bytes(data)
    for source in (data, path):
        encoded = to_encoded(source, "a", (40, 24))
        assert encoded.data == data and encoded.change is None
        assert (encoded.format, encoded.width, encoded.height) == (kind.lower(), 40, 24)


ALPHA = np.dstack([pixels(), np.full((24, 40), 255, np.uint8)])


@pytest.mark.parametrize(
    ("data", "kind", "change"),
    [
        (encode(Image.fromarray(pixels()).convert("CMYK"), "JPEG"), "jpeg", "CMYK to RGB"),
        (encode(Image.fromarray(pixels()).convert("P")), "png", "P to RGB"),
        (encode(ALPHA), "png", "transparency laid over black"),
        (encode(np.zeros((24, 40), np.uint16)), "png", "16 bits to 8"),
        (encode(pixels(), "BMP"), "png", "bmp to png"),
        (encode(pixels(), "WEBP"), "png", "webp to png"),
    ],
)
def test_odd_files_are_encoded_anew(data, kind, change):
    encoded = to_encoded(data, "a", (40, 24))
    assert (encoded.format, encoded.change) == (kind, change)
    assert inspect_header(encoded.data).plain and inspect_header(encoded.data).format == kind
    tolerance = 8 if kind == "jpeg" else 0
    assert np.abs(read_image(encoded.data).astype(int) - read_image(data)).max() <= tolerance


TOLD, UNTOLD = "turned upright by EXIF", "rotated upright by EXIF, although the annotated size fits both"
REMOVED = "EXIF orientation removed, since the boxes fit the stored pixels"


@pytest.mark.parametrize(
    ("shape", "orientation", "declared", "size", "change"),
    [
        ((40, 24), 6, (24, 40), (24, 40), TOLD),
        ((40, 24), 6, (40, 24), (40, 24), REMOVED),
        ((40, 24), 6, None, (24, 40), UNTOLD),
        ((40, 24), 3, (40, 24), (40, 24), UNTOLD),
        ((32, 32), 8, (32, 32), (32, 32), UNTOLD),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_exif_orientation_follows_the_annotation(shape, orientation, declared, size, change, kind):
    data = encode(pixels(*shape), kind, orientation)
    encoded = to_encoded(data, "a", declared)
    assert (encoded.width, encoded.height, encoded.change) == (*size, change)
    assert inspect_header(encoded.data).orientation == 1
    expected = read_image(data, upright=change != REMOVED)
    assert np.abs(read_image(encoded.data).astype(int) - expected).max() <= (8 if kind == "JPEG" else 0)


@pytest.mark.parametrize(
    ("data", "declared", "message"),
    [
        (encode(pixels()), (24, 40), "photo: annotated for 24 x 40 pixels, but the image has 40 x 24; it was probably"),
        (encode(pixels(), "JPEG", 6), (41, 24), r"40 x 24 \(or 24 x 40 once turned by its EXIF orientation\)"),
        (encode(pixels(), "JPEG")[:-10], None, "photo: the JPEG image cannot be decoded in full"),
        (encode(pixels())[:-8], None, "photo: the PNG image cannot be decoded in full"),
        (b"", None, "photo: the image file is empty"),
        (pixels(4, 4)[..., 0], None, r"photo: pixels are uint8 \[4, 4\]; expected uint8 \[H, W, 3\] RGB"),
        (pixels(4, 4) / 255, None, "photo: pixels are float64"),
        (pixels(4, 4), (4, 5), "annotated for 4 x 5"),
    ],
)
def test_unusable_images_are_refused(data, declared, message):
    with pytest.raises(DataError, match=message):
        to_encoded(data, "photo", declared)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"photo: the image file does not exist"):
        to_encoded(tmp_path / "gone.jpg", "photo", None)


def test_pixels_become_a_png_without_loss():
    encoded = to_encoded(pixels(), "a", None)
    assert (encoded.format, encoded.change) == ("png", None)
    np.testing.assert_array_equal(read_image(encoded.data), pixels())


def taller(data, axis=0):
    """The JPEG with twice the height (or, for axis 1, the width) in its header, and the same pixels."""
    place = next(at for at in range(len(data)) if data[at] == 0xFF and data[at + 1] in (0xC0, 0xC2)) + 5 + 2 * axis
    side = int.from_bytes(data[place : place + 2], "big")
    return data[:place] + (2 * side).to_bytes(2, "big") + data[place + 2 :]


KINDS = ({}, {"progressive": True}, {"restart_marker_blocks": 3}, {"progressive": True, "restart_marker_rows": 1})


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize(
    ("options", "damage"),
    [
        *((options, taller) for options in KINDS),
        *((options, lambda data: taller(data, 1)) for options in KINDS),
        # What is cut off of a progressive file only blurs it.
        *((options, lambda data: data[: len(data) * 2 // 3] + b"\xff\xd9") for options in (KINDS[0], KINDS[2])),
    ],
)
def test_a_jpeg_that_lacks_pixels_is_refused(options, damage, mode):
    data = encode(Image.fromarray(pixels(200, 120)).convert(mode), "JPEG", **options)
    to_encoded(data, "a", None)
    with pytest.raises(DataError, match="its header promises more pixels"):
        to_encoded(damage(data), "a", None)
    with pytest.raises(DataError, match="its header promises more pixels"):
        read_image(damage(data), "a")


@pytest.mark.parametrize("options", KINDS)
def test_a_whole_jpeg_may_be_grey_in_its_corner(options):
    image = pixels(200, 120)
    image[60:] = 128
    data = encode(image, "JPEG", **options)
    for file in (data, data[:-2] + b"\xff\xfe\x00\x06\xff\xd9ab\xff\xd9" + data):  # a comment; images behind it
        assert to_encoded(file, "a", None).change is None and (read_image(file)[-8:, -8:] == 128).all()
