import cv2
import numpy as np
import pytest

from centernet_tf.errors import DataError, UsageError
from centernet_tf.media import draw


def grey(height=100, width=160, value=127):
    return np.full((height, width, 3), value, np.uint8)


def test_no_boxes_leave_a_copy():
    image = grey()
    drawn = draw.draw_boxes(image, np.zeros((0, 4)), [])
    np.testing.assert_array_equal(drawn, image)
    assert drawn is not image


def test_box_is_drawn_on_its_border_only_and_not_in_place():
    image = grey()
    drawn = draw.draw_boxes(image, [[20, 30, 80, 70]], colors=[[255, 0, 0]], thickness=1)
    changed = np.argwhere((drawn != image).any(axis=-1))
    assert changed.min(axis=0).tolist() == [30, 20] and changed.max(axis=0).tolist() == [70, 80]
    assert drawn[30, 50].tolist() == [255, 0, 0] and drawn[50, 50].tolist() == [127] * 3
    assert (image == 127).all()


@pytest.mark.parametrize(
    "box", [[-500, 10, -3, 20], [10, 101, 20, 900], [161, 0, 170, 10]], ids=["left", "below", "right"]
)
def test_box_outside_is_left_out(box):
    np.testing.assert_array_equal(draw.draw_boxes(grey(), [box], ["cell"]), grey())


@pytest.mark.parametrize(
    "box", [[0, 0, 5, 5], [150, 90, 400, 1e9], [-1e9, 95, 12, 99], [0, 0, 160, 100], [50, 50, 50, 50]]
)
@pytest.mark.parametrize("height, width", [(100, 160), (7, 5), (1, 1), (900, 1200)])
@pytest.mark.parametrize("label", ["platelets 0.93", "a label that is much wider than the image " * 3])
def test_label_lies_inside_the_image(box, height, width, label):
    """The filled background has its four corners in the image, so nothing of it was cut."""
    image = np.zeros((height, width, 3), np.uint8)
    draw.draw_label(image, label, int(min(box[0], 1e5)), int(min(box[1], 1e5)), (9, 200, 9))
    assert image.any()
    assert draw.draw_boxes(image, [box], [label]).shape == image.shape
    rows, columns = np.nonzero(image.any(axis=-1))
    if min(height, width) > 50:
        filled = image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert filled.shape[0] >= 5
        for corner in filled[[0, 0, -1, -1], [0, -1, 0, -1]]:
            assert corner.tolist() == [9, 200, 9]


@pytest.mark.parametrize("color, ink", [((255, 255, 0), 0), ((20, 20, 120), 255)], ids=["light", "dark"])
def test_label_ink_contrasts(color, ink):
    image = np.full((300, 300, 3), color, np.uint8)
    draw.draw_label(image, "HHHH", 20, 100, color)
    assert np.abs(image.astype(int) - ink).sum(axis=-1).min() < 60


def test_label_grows_with_the_image():
    def height_of_label(size):
        image = np.zeros((size, size, 3), np.uint8)
        draw.draw_label(image, "cell", 0, size // 2, (255, 255, 255))
        return np.ptp(np.nonzero(image.any(axis=-1))[0])

    assert height_of_label(300) < height_of_label(1200) < height_of_label(2400)


@pytest.mark.parametrize(
    "boxes, labels, colors, message",
    [
        ([[0, 0, np.nan, 5]], None, None, "NaN or infinite"),
        ([[0, 0, 5, 5]], ["a", "b"], None, "1 boxes, 2 labels and 1 colors"),
        ([[0, 0, 5, 5]], ["a"], np.zeros((2, 3)), "1 boxes, 1 labels and 2 colors"),
    ],
)
def test_wrong_boxes(boxes, labels, colors, message):
    with pytest.raises(ValueError, match=message):
        draw.draw_boxes(grey(), boxes, labels, colors)


@pytest.mark.parametrize(
    "image",
    [np.zeros((5, 5)), np.zeros((5, 5, 3), np.float32), np.zeros((0, 5, 3), np.uint8), np.zeros((2, 2, 4), np.uint8)],
)
def test_wrong_image(image):
    with pytest.raises(ValueError, match=r"RGB image \[H, W, 3\] of uint8, got shape"):
        draw.draw_boxes(image, np.zeros((0, 4)))


def test_colors_are_distinct_and_fixed():
    colors = draw.class_colors(range(80)).astype(int)
    distance = np.abs(colors[:, None] - colors[None]).sum(axis=-1) + 1000 * np.eye(80, dtype=int)
    assert distance.min() >= 51
    # The first few are pinned: a class keeps its colour from release to release.
    assert colors[:3].tolist() == [[255, 51, 34], [0, 255, 255], [51, 17, 255]]
    np.testing.assert_array_equal(draw.class_colors([500, 7]), draw.class_colors([500 % 120, 7]))
    assert draw.class_colors([]).shape == (0, 3)


def test_heatmap_overlay():
    image, heatmap = grey(64, 96, 100), np.zeros((16, 24, 3), np.float32)
    np.testing.assert_array_equal(draw.heatmap_overlay(image, heatmap), grey(64, 96, 30))
    heatmap[4:8, 4:8, 1], heatmap[4:8, 4:8, 2] = 1.0, 0.2
    overlay = draw.heatmap_overlay(image, heatmap)
    colors = draw.class_colors([1, 2]) * np.array([[1.0], [0.2]])
    np.testing.assert_allclose(overlay[24, 24], 30 + 0.7 * colors.max(axis=0), atol=1)
    np.testing.assert_array_equal(overlay[-1, -1], [30] * 3)
    np.testing.assert_array_equal(draw.heatmap_overlay(image, heatmap[..., 0]), grey(64, 96, 30))


@pytest.mark.parametrize(
    "heatmap, message",
    [
        (np.zeros(4), r"\[h, w, classes\], got shape \(4,\)"),
        (np.zeros((0, 4, 1)), r"got shape \(0, 4, 1\)"),
        (np.full((2, 2, 1), np.nan), "NaN"),
    ],
)
def test_wrong_heatmap(heatmap, message):
    with pytest.raises(ValueError, match=message):
        draw.heatmap_overlay(grey(), heatmap)


@pytest.mark.parametrize("columns", [None, 1, 2, 9])
def test_contact_sheet_holds_images_of_any_size(columns):
    values, sizes = [60, 120, 180, 240, 90], [(40, 60), (300, 900), (1, 1), (500, 20), (64, 64)]
    images = [grey(*size, value) for size, value in zip(sizes, values)]
    sheet = draw.contact_sheet(images, ["one", "two", "", "four", "five" * 40], columns, tile=100)
    for (height, width), value in zip(sizes, values):
        scale = min(1, 100 / max(height, width))
        expected = max(1, round(height * scale)) * max(1, round(width * scale))
        assert abs((sheet == value).all(axis=-1).sum() - expected) < 40


def test_contact_sheet_of_one_image_without_title():
    sheet = draw.contact_sheet([grey(10, 20)])
    assert sheet.shape == (22, 32, 3) and (sheet == 127).all(axis=-1).sum() == 200


@pytest.mark.parametrize("side", [40, 100, 300])
def test_panels_stand_beside_the_image(side):
    both = draw.beside(grey(), grey(side, side, 50))
    assert both.shape == (100, 260, 3) and (both[:, :160] == 127).all() and (both[:, 160:] == 50).all()


def test_wrong_contact_sheet():
    with pytest.raises(ValueError, match="no images"):
        draw.contact_sheet([])
    with pytest.raises(ValueError, match="1 images but 2 titles"):
        draw.contact_sheet([grey()], ["a", "b"])


@pytest.mark.parametrize("suffix", draw.SUFFIXES)
def test_save_image(tmp_path, suffix):
    image = grey(20, 30)
    image[..., 0] = 250
    path = tmp_path / "new" / "folder" / f"picture{suffix.upper()}"
    draw.save_image(path, image)
    draw.save_image(path, image)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    read = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    np.testing.assert_allclose(read.astype(int), image, atol=4)


def test_failed_save_keeps_the_old_file(tmp_path, small_disk):
    path = tmp_path / "a.png"
    draw.save_image(path, grey())
    before = path.read_bytes()
    with small_disk(20), pytest.raises(DataError, match=r"a\.png: cannot be written"):
        draw.save_image(path, grey(5, 5))
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["a.gif", "a", "a.npy"])
def test_save_image_of_unknown_format(tmp_path, name):
    with pytest.raises(UsageError, match=r"Known suffixes: .*\.png"):
        draw.save_image(tmp_path / name, grey())
