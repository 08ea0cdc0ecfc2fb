"""What every task shares: objects as points on the output grid, and back.

Coordinates are cells of the output grid, a quarter of the network's input; (x, y) with the cell's corner as integer.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
from keras import ops

from centernet_tf import losses
from centernet_tf.errors import UsageError, closest
from centernet_tf.geometry import gaussian
from centernet_tf.points import box_targets, heatmap, overlap, peaks
from centernet_tf.points.task import Head, Term, unmirrored

STRIDE = 4  # The only one the published networks have.
HEATMAP_BIAS = -2.19
START = 8.0  # Width and height in cells of boxes before they are learned, where those without area learn little.
Regression = Literal["l1", "smooth_l1"]
Box = Literal["sides", "iou", "giou", "diou", "ciou"]


def mirrored_edges(values: Any) -> Any:
    """The `Head.mirror` of distances to edges: left and right change places."""
    return ops.stack([values[..., 2], values[..., 1], values[..., 0], values[..., 3]], axis=-1)


@dataclasses.dataclass(frozen=True)
class Centers:
    """Settings of the points that all tasks of one network share.

    What `loss_settings.LossSettings` and `config.settings.Settings` have by the same names is said there.

    Attributes:
        num_classes: Channels of the heatmap.
        whole_sides: Round the sides of objects up before their radius; one of the originals does not.
        whole_boxes: Take the centre, pulled into the grid, and the size of all of a box, instead of the part of it that
            lies inside; one of the originals does.
        every_row: Divide the errors of offset and size by `max_objects`, as if every image had so many objects, instead
            of by the objects that there are; one of the originals does.
        every_object: Give the list of objects to the heatmap's loss, so that two on one cell count twice, and leave
            ignored boxes unjudged that have no area inside the grid too, in the cells of its edge that are left; one
            of the originals does.
        regression: Of class-specific sizes it is L1 in any case, as in the original.
        flat: Search cells and classes in one list instead of cells first. It finds the same, faster in LiteRT (80
            classes on 128 x 128 cells, one thread: 4.9 instead of 5.6 ms, 7.5 instead of 11.8 ms without XNNPACK) and
            slower elsewhere.
        class_names: Names of the classes in channel order, where they are known.
        box: A whole box teaches the offset, too. See `overlap`.
        area: Weighted by a Gaussian, see `box_targets.over_areas`.
        ellipse: Of Gaussians of centres; those of anything else stay circles.
        iou_aware: Wu et al., 2019.
        candidates: Peaks that are looked at, at least as many as objects, where not only the best become objects: of
            heatmaps that a task has of its own, such as those of parts of objects, and with `iou_aware`.
    """

    num_classes: int
    max_objects: int = 100
    class_specific_size: bool = False
    ltrb: bool = False
    corrected_radius: bool = False
    ignore_crowd: bool = False
    ignored_area: bool = False
    whole_sides: bool = True
    whole_boxes: bool = False
    every_row: bool = False
    every_object: bool = False
    weights: Mapping[str, float] = dataclasses.field(default_factory=dict)
    regression: Regression = "l1"
    flat: bool = False
    class_names: tuple[str, ...] = ()
    candidates: int = 100
    ignore_high: float | None = None
    box: Box = "sides"
    area: float = 0.0
    ellipse: float = 0.0
    iou_aware: float = 0.0
    class_weights: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def check(self) -> None:
        """Raises UsageError where settings exclude each other, or a weight is of no class."""
        if self.ltrb and self.class_specific_size:
            raise UsageError("ltrb and class_specific_size exclude each other. Set one of them to false.")
        if self.class_specific_size and self.of_whole_boxes:
            raise UsageError(
                f"class_specific_size and {' and '.join(self.of_whole_boxes)} exclude each other: they take one size "
                "for all classes. Leave one of them out."
            )
        self.weights_of_classes()

    @property
    def of_whole_boxes(self) -> tuple[str, ...]:
        """Names of the settings that take one box for each cell and change what is learned of it."""
        changed = {"loss.box": self.box != "sides", "loss.area": self.area, "iou_aware": self.iou_aware}
        return tuple(name for name, value in changed.items() if value)

    def heads(self) -> tuple[Head, ...]:
        """Heatmap of the centres, offset within the cell (x, y), size (width, height, or `ltrb`) in cells, IoU."""
        start = 0.0 if self.box == "sides" else START
        channels = 2 * self.num_classes if self.class_specific_size else 2
        size = Head("size", channels, bias=start, mirror=unmirrored, at_cells=True)
        edges = Head("size", 4, bias=start / 2, mirror=mirrored_edges, at_cells=True)
        return (
            Head("heatmap", self.num_classes, bias=HEATMAP_BIAS, heatmap=True, mirror=unmirrored),
            Head("offset", 2, at_cells=True),
            edges if self.ltrb else size,
            *([Head("iou", 1, mirror=unmirrored, at_cells=True)] if self.iou_aware else []),
        )

    def terms(self) -> tuple[Term, ...]:
        """Objects as Points, equation 4: weights 1, 1 and 0.1; of whole boxes 5, as in TTFNet."""
        size = Term("size", ("size",), losses.masked_l1 if self.class_specific_size else self.regression_loss, 0.1)
        if self.box != "sides":
            size = Term("size", ("offset", "size"), overlap.BOX_LOSSES[self.box], 5.0)
        return (
            Term("heatmap", ("heatmap",), losses.focal),
            Term("offset", ("offset",), self.regression_loss),
            size,
            *([Term("iou", ("offset", "size", "iou"), overlap.score)] if self.iou_aware else []),
        )

    @property
    def regression_loss(self) -> Callable[[Any, Mapping[str, Any]], Any]:
        """The function that `regression` names."""
        return {"l1": losses.masked_l1, "smooth_l1": losses.masked_smooth_l1}[self.regression]

    def locate(self, rows: Mapping[str, Any], grid: tuple[int, int]) -> dict[str, Any]:
        """Puts objects on the output grid.

        Args:
            rows: "boxes" [B, N, 4] in pixels of the network's input, unclipped; "classes" [B, N]; "crowd" and "valid"
                [B, N] bool; optionally "ignored" [B, N] bool, objects that are neither wanted nor background, of class
                -1 for all classes, "boxed" [B, N] bool, whose box is trained, and "rotated" [B] bool, images that are
                rotated while their boxes are not.
            grid: Height and width in cells.

        Returns:
            "boxes" [B, N, 4] clipped to the grid's cells, "size" [B, N, 2] (width, height), "edges" [B, N, 4] from the
            centre to the edges of the unclipped box (left, top, right, bottom), "center" [B, N, 2] (x, y), "cell" [B,
            N, 2] its integer part as float, "index" [B, N] int32 (y * w + x), "radius" [B, N] of Gaussians of its parts
            in whole cells, "reach" [B, N, 2] those of its own along x and y; "keep" [B, N] bool: a valid object with an
            area inside the grid, not ignored, in an image that is not rotated; "boxed" [B, N] bool: those whose box is
            trained; "present" [B, N] bool: those whose parts may be trained, in rotated images too; and "classes",
            "grouped" [B, N] bool, "ignored" [B, N] bool or None, "rotated" [B] bool or None, "rows", max_objects where
            `every_row` says so, else None, "listed", which is `every_object`, and "grid".
        """
        height, width = grid
        whole = ops.cast(rows["boxes"], "float32") / STRIDE
        limit = ops.convert_to_tensor([width - 1.0, height - 1.0, width - 1.0, height - 1.0], "float32")
        boxes = ops.minimum(ops.maximum(whole, 0.0), limit)
        measured = whole if self.whole_boxes else boxes
        size = measured[..., 2:] - measured[..., :2]
        inside = ops.logical_and(rows["valid"], ops.all(size > 0, axis=-1))
        center = (measured[..., :2] + measured[..., 2:]) / 2
        if self.whole_boxes:
            center = ops.minimum(ops.maximum(center, 0.0), limit[:2])
            shown = ops.logical_and(whole[..., 2:] > 0, whole[..., :2] < limit[:2] + 1)
            inside = ops.logical_and(inside, ops.all(shown, axis=-1))
        ignorable = rows["valid"] if self.every_object else inside
        group = ops.logical_and(self.ignore_crowd, rows["crowd"])
        valid = rows["valid"]
        if "ignored" in rows:
            valid = ops.logical_and(valid, ops.logical_not(rows["ignored"]))
        keep = present = ops.logical_and(ops.logical_and(inside, valid), ops.logical_not(group))
        if "rotated" in rows:
            rotated = rows["rotated"][:, None]
            keep = ops.logical_and(keep, ops.logical_not(rotated))
            # A point of a rotated image may lie inside where its object's box, which is not rotated, lies outside.
            beyond = ops.logical_and(rotated, ops.logical_and(valid, ops.logical_not(group)))
            present = ops.logical_or(present, beyond)
        cell = ops.floor(center)
        sides = ops.ceil(size) if self.whole_sides else size
        radius = gaussian.whole(gaussian.radius(sides[..., 1], sides[..., 0], corrected=self.corrected_radius))
        return {
            "boxes": boxes,
            "size": size,
            "edges": ops.concatenate([center - whole[..., :2], whole[..., 2:] - center], axis=-1),
            "center": center,
            "cell": cell,
            "index": ops.cast(cell[..., 1] * width + cell[..., 0], "int32"),
            "radius": radius,
            "reach": box_targets.elliptic(size, self.ellipse) if self.ellipse else ops.stack([radius, radius], axis=-1),
            "classes": ops.cast(rows["classes"], "int32"),
            "keep": keep,
            "boxed": ops.logical_and(keep, rows["boxed"]) if "boxed" in rows else keep,
            "present": present,
            "grouped": ops.logical_and(ignorable, group),
            "ignored": ops.logical_and(ignorable, rows["ignored"]) if "ignored" in rows else None,
            "rotated": rows.get("rotated"),
            "rows": np.float32(self.max_objects) if self.every_row else None,
            "listed": self.every_object,
            "grid": grid,
        }

    def encode(self, rows: Mapping[str, Any], centers: Mapping[str, Any]) -> dict[str, Any]:
        """Targets of heatmap, offset and size (official code, `datasets/sample/ctdet.py`), and of the IoU.

        Args:
            rows: Unused; every task's encode takes it.
            centers: What `locate` returned.

        Returns:
            "heatmap": {"heatmap": [B, h, w, C]}, with "ignore" of the same shape where crowds are ignored, and "index",
            "classes" and "mask" where `every_object` says so, as `losses.focal` takes them; "offset" and "size":
            {"index", "mask", "value"}, and "rows" where `every_row` says so, as `losses.masked_l1` takes them, or as
            `box_targets.encode` makes them where whole boxes are learned; "iou" likewise, where it is.
        """
        del rows
        return {"heatmap": self.render(centers), **box_targets.encode(centers, self, STRIDE)}

    def render(self, centers: Mapping[str, Any]) -> dict[str, Any]:
        """The target of the heatmap, of what `locate` returned: see `heatmap.render` and `losses.focal`."""
        target = heatmap.render(centers, self.num_classes, self.ignore_crowd, self.ignored_area)
        if centers["listed"]:
            mask = ops.cast(centers["keep"], "float32")
            target |= {"index": centers["index"], "classes": centers["classes"], "mask": mask}
        if self.ignore_high is not None:
            target["high"] = np.float32(self.ignore_high)
        if self.class_weights:
            target["class_weights"] = self.weights_of_classes()
        return target

    def weights_of_classes(self) -> np.ndarray:
        """`class_weights` in channel order, [C] float32.

        Raises:
            UsageError: One is of no class.
        """
        for name in self.class_weights:
            if name not in self.class_names:
                known = ", ".join(self.class_names)
                hint = closest(name, self.class_names)
                raise UsageError(f"loss.class_weights: no class {name!r}.{hint} Known here: {known}.")
        return np.float32([self.class_weights.get(name, 1.0) for name in self.class_names])

    def peaks(self, outputs: Mapping[str, Any]) -> dict[str, Any]:
        """The best local maxima of the heatmap (Objects as Points, section 3, "From points to bounding boxes").

        Args:
            outputs: "heatmap" [B, h, w, C] logits and, where heads have them, "offset" [B, h, w, 2] and "iou"
                [B, h, w, 1] logits.

        Returns:
            "scores" [B, K] in 0..1, falling; "classes" [B, K] int32; "index" [B, K] int32 cell; "cell" [B, K, 2] its
            (x, y) as float; "center" [B, K, 2] with the offset added. A cell that is not the largest of its 3x3
            neighbourhood scores 0. K is max_objects whatever the grid.
        """
        scores = ops.sigmoid(ops.cast(outputs["heatmap"], "float32"))
        if not self.iou_aware:
            return self.peaks_of_scores(scores, outputs.get("offset"))
        # The order changes, so that more peaks than objects are looked at: few objects are then the best of many, too.
        found = self.peaks_of_scores(scores, outputs.get("offset"), max(self.max_objects, self.candidates))
        return peaks.rescored(found, outputs["iou"], self.iou_aware, self.max_objects)

    def peaks_of_scores(self, scores: Any, offset: Any = None, count: int | None = None) -> dict[str, Any]:
        """`peaks` for a heatmap that is in 0..1 already: scores [B, h, w, C], offset [B, h, w, 2] or None.

        Equal scores may come in any order. There are max_objects of them, or as many as `count` says.
        """
        best, classes, index = peaks.best_of_all(peaks.local_maxima(scores), count or self.max_objects, self.flat)
        cell = peaks.cells_of(index, ops.shape(scores)[2])
        shift = 0.0 if offset is None else ops.cast(losses.gather_cells(offset, index), "float32")
        return {
            "scores": best,
            "classes": classes,
            "index": index,
            "cell": cell,
            "center": cell + shift,
        }

    def peaks_at(self, outputs: Mapping[str, Any], index: Any) -> dict[str, Any]:
        """`peaks` of cells that somebody chose, in their order, largest of their neighbourhood or not.

        Args:
            outputs: As `peaks` takes them.
            index: [B, P] int32, y * w + x.

        Returns:
            As `peaks`, each with its best class; and "class_scores" [B, P, C] in 0..1.
        """
        scores = ops.sigmoid(ops.cast(losses.gather_cells(outputs["heatmap"], index), "float32"))
        if self.iou_aware:
            scores = peaks.with_iou(scores, outputs["iou"], index, self.iou_aware)
        cell = peaks.cells_of(index, ops.shape(outputs["heatmap"])[2])
        shift = losses.gather_cells(outputs["offset"], index) if "offset" in outputs else 0.0
        return {
            "scores": ops.max(scores, axis=-1),
            "classes": ops.cast(ops.argmax(scores, axis=-1), "int32"),
            "index": index,
            "cell": cell,
            "center": cell + ops.cast(shift, "float32"),
            "class_scores": scores,
        }

    def decode(self, outputs: Mapping[str, Any], peaks: Mapping[str, Any]) -> dict[str, Any]:
        """Peaks to boxes.

        Args:
            outputs: "size" [B, h, w, 2] or [B, h, w, 2 C] (width, height), or [B, h, w, 4] where `ltrb` says so; cells.
            peaks: What `peaks` returned.

        Returns:
            "boxes" [B, K, 4] left, top, right, bottom in cells, unclipped; "scores" [B, K]; "classes" [B, K] int32.
        """
        if self.ltrb:
            edges = ops.cast(losses.gather_cells(outputs["size"], peaks["index"]), "float32")
            near, far = edges[..., :2], edges[..., 2:]
        else:
            near = far = self.sizes(outputs, peaks) / 2
        boxes = ops.concatenate([peaks["center"] - near, peaks["center"] + far], axis=-1)
        return {"boxes": boxes, "scores": peaks["scores"], "classes": peaks["classes"]}

    def sizes(self, outputs: Mapping[str, Any], peaks: Mapping[str, Any]) -> Any:
        """[B, K, 2] float32 width and height of what is at the peaks, in cells; of its class where these differ."""
        size = ops.cast(losses.gather_cells(outputs["size"], peaks["index"]), "float32")
        if self.ltrb:
            return size[..., :2] + size[..., 2:]
        if self.class_specific_size:
            batch, count, _ = ops.shape(size)
            pairs = ops.reshape(size, (batch * count * self.num_classes, 2))
            row = ops.arange(batch * count, dtype="int32") * self.num_classes + ops.reshape(peaks["classes"], (-1,))
            size = ops.reshape(ops.take(pairs, row, axis=0), (batch, count, 2))
        return size
