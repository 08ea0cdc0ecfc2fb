"""Errors to look at: a bar chart of what each kind costs, and the images that have most of them."""

from collections.abc import Mapping

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from centernet_tf.media.draw import contact_sheet, draw_boxes, line_thickness
from centernet_tf.metrics.error_kinds import FOUND, KINDS, Judged
from centernet_tf.metrics.error_report import Errors

MOST_IMAGES = 12  # on a sheet
TRUTH, RIGHT = (255, 255, 255), (70, 160, 70)  # annotated objects; detections that are one
# Far enough apart to be told on any picture; the same in the chart and on the sheet.
COLORS = {
    kind: tuple(round(255 * part) for part in color)
    for kind, color in zip(KINDS, matplotlib.color_sequences["Set1"][:5] + matplotlib.color_sequences["Set2"][:3])
}


def chart(errors: Errors) -> np.ndarray:
    """[H, W, 3] uint8 RGB: AP that each kind costs, mended in order, and mended alone."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    places = np.arange(len(KINDS))
    colors = [np.array(COLORS[kind]) / 255 for kind in KINDS]
    axes.barh(places - 0.2, list(errors.ordered().values()), 0.4, color=colors, label="mended in this order")
    axes.barh(places + 0.2, list(errors.alone().values()), 0.4, color=colors, alpha=0.4, label="mended alone")
    axes.set_yticks(places, list(KINDS))
    axes.invert_yaxis()
    axes.set(xlabel="AP gained", title=f"AP {errors.ap:.3f} at IoU {errors.iou:g}, {errors.gains.missing:.3f} missing")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="lower right", frameon=False)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]


def worst(judged: Judged, count: int = MOST_IMAGES) -> list[int]:
    """Ids of the images with most errors, the worst first, none of those without any.

    An object that is not found and a detection that is none are an error each; a detection that claims an object is one
    with it.
    """
    matched = judged.matched
    lost = matched.truth_image[~np.isin(judged.fates, (FOUND, ""))]
    beside = matched.image[np.isin(judged.kinds, ("double", "background"))]
    errors = np.bincount(np.append(lost, beside), minlength=len(matched.ids))
    ranked = np.argsort(-errors, kind="stable")[:count]
    return [int(matched.ids[place]) for place in ranked if errors[place]]


def sheet(
    judged: Judged, images: Mapping[int, np.ndarray], titles: Mapping[int, str] | None = None, tile: int = 480
) -> np.ndarray:
    """The images side by side, with what is annotated in white, what was found in green, and errors in their colours.

    Args:
        judged: What became of everything.
        images: {id: [H, W, 3] uint8 RGB}, in order, at least one.
        titles: {id: name of the image}; its id if left out.
        tile: Largest side of an image on the sheet in pixels.

    Returns:
        [H, W, 3] uint8 RGB.
    """
    drawn = [draw_errors(judged, image_id, image, tile) for image_id, image in images.items()]
    names = titles or {image_id: str(image_id) for image_id in images}
    return contact_sheet(drawn, [f"{names[one]}: {_told(judged, one)}" for one in images], tile=tile)


def draw_errors(judged: Judged, image_id: int, image: np.ndarray, tile: int) -> np.ndarray:
    """One image [H, W, 3] of `sheet`, small ones as many times as large as a tile has room for their labels."""
    times = max(1, tile // max(image.shape[:2]))
    image = image.repeat(times, axis=0).repeat(times, axis=1)
    matched = judged.matched
    (place,) = np.flatnonzero(matched.ids == image_id)
    there = np.flatnonzero((matched.truth_image == place) & (judged.fates != ""))
    rows = np.flatnonzero((matched.image == place) & (judged.kinds != ""))
    rows = rows[np.argsort(judged.kinds[rows] != FOUND, kind="stable")]  # errors lie on top
    lost = judged.fates[there] == "missed"
    boxes = times * np.concatenate([matched.truth_boxes[there], matched.boxes[rows]])
    labels = [f"missed {matched.names[label]}" if one else "" for one, label in zip(lost, matched.truth_classes[there])]
    colors = [COLORS["missed"] if one else TRUTH for one in lost]
    for row in rows:
        kind = judged.kinds[row]
        right = kind == FOUND
        labels.append("" if right else f"{kind}: {matched.names[matched.classes[row]]} {matched.scores[row]:.2f}")
        colors.append(RIGHT if right else COLORS[kind])
    return draw_boxes(image, boxes, labels, np.array(colors, np.uint8).reshape(-1, 3), line_thickness(image))


def _told(judged: Judged, image_id: int) -> str:
    """How many errors of which kind an image has."""
    matched = judged.matched
    (place,) = np.flatnonzero(matched.ids == image_id)
    fates, kinds = judged.fates[matched.truth_image == place], judged.kinds[matched.image == place]
    told = [*fates[fates != FOUND], *kinds[np.isin(kinds, ("double", "background"))]]
    return ", ".join(f"{told.count(kind)} {kind}" for kind in KINDS if kind in told)
