"""What every task shares: objects as points on the output grid, and back.

Coordinates are cells of the output grid, a quarter of the network's input; (x, y) with the cell's corner as integer.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from keras import ops

from centernet_tf import losses
from centernet_tf.geometry import gaussian
from centernet_tf.skeleton import Skeleton
from centernet_tf.task import Head, Term, unmirrored

STRIDE = 4  # The only one the published networks have.
HEATMAP_BIAS = -2.19
UNJUDGED = 0.9999  # Wanted score of cells about which nothing is known.


@dataclasses.dataclass(frozen=True)
class Centers:
    """Settings of the points that all tasks of one network share.

    Attributes:
        num_classes: Channels of the heatmap.
        max_objects: Objects trained on per image, and detections returned per image.
        class_specific_size: Predict a size per class instead of one for all.
        corrected_radius: Use the Gaussian radius as derived instead of as published.
        ignore_crowd: Take crowd boxes out of the loss instead of training on them as objects.
        neutral_area: Leave the whole box of a neutral object unjudged, instead of its centre.
        whole_sides: Round the sides of objects up before their radius; the original does not for 3D boxes.
        weights: Weights of terms of the loss by their names, in place of those that the tasks give them.
        flat: Search cells and classes in one list instead of cells first. It finds the same, faster in LiteRT (80
            classes on 128 x 128 cells, one thread: 4.9 instead of 5.6 ms, 7.5 instead of 11.8 ms without XNNPACK) and
            slower elsewhere.
        skeleton: Joints of the objects, for tasks that predict them.
        joint_classes: Classes whose objects have joints; all if None.
        joint_peaks: Peaks of each joint's heatmap that are looked at, at least as many as objects.
        box3d_size: Whether task box3d learns the size in the image too.
        box3d_amodal_offset: Whether task box3d learns where in the image the middle in space lies.
    """

    num_classes: int
    max_objects: int = 100
    class_specific_size: bool = False
    corrected_radius: bool = False
    ignore_crowd: bool = False
    neutral_area: bool = False
    whole_sides: bool = True
    weights: Mapping[str, float] = dataclasses.field(default_factory=dict)
    flat: bool = False
    skeleton: Skeleton | None = None
    joint_classes: tuple[int, ...] | None = None
    joint_peaks: int = 100
    box3d_size: bool = True
    box3d_amodal_offset: bool = False

    def heads(self) -> tuple[Head, ...]:
        """Heatmap of the centres, offset within the cell (x, y), size (width, height) in cells."""
        sizes = 2 * self.num_classes if self.class_specific_size else 2
        return (
            Head("heatmap", self.num_classes, bias=HEATMAP_BIAS, heatmap=True, mirror=unmirrored),
            Head("offset", 2),
            Head("size", sizes, mirror=unmirrored),
        )

    def terms(self) -> tuple[Term, ...]:
        """Objects as Points, equation 4: weights 1, 1 and 0.1."""
        return (
            Term("heatmap", ("heatmap",), losses.focal),
            Term("offset", ("offset",), losses.masked_l1),
            Term("size", ("size",), losses.masked_l1, 0.1),
        )

    def locate(self, rows: Mapping[str, Any], grid: tuple[int, int]) -> dict[str, Any]:
        """Puts objects on the output grid.

        Args:
            rows: "boxes" [B, N, 4] in pixels of the network's input, unclipped; "classes" [B, N]; "crowd" and "valid"
                [B, N] bool; optionally "neutral" [B, N] bool, objects that are neither wanted nor background, of class
                -1 for all classes, "boxed" [B, N] bool, whose box is trained, and "rotated" [B] bool, images that are
                rotated while their boxes are not.
            grid: Height and width in cells.

        Returns:
            "boxes" [B, N, 4] clipped to the grid's cells, "size" [B, N, 2] (width, height), "center" [B, N, 2] (x, y),
            "cell" [B, N, 2] its integer part as float, "index" [B, N] int32 (y * w + x), "radius" [B, N] of its
            Gaussian in whole cells; "keep" [B, N] bool: a valid object with an area inside the grid, not neutral, in an
            image that is not rotated; "boxed" [B, N] bool: those whose box is trained; "present" [B, N] bool: those
            whose parts may be trained, in rotated images too; and "classes", "ignored" [B, N] bool, "neutral" [B, N]
            bool or None, "rotated" [B] bool or None, and "grid".
        """
        height, width = grid
        boxes = ops.cast(rows["boxes"], "float32") / STRIDE
        limit = ops.convert_to_tensor([width - 1.0, height - 1.0, width - 1.0, height - 1.0], "float32")
        boxes = ops.minimum(ops.maximum(boxes, 0.0), limit)
        size = boxes[..., 2:] - boxes[..., :2]
        inside = ops.logical_and(rows["valid"], ops.all(size > 0, axis=-1))
        group = ops.logical_and(self.ignore_crowd, rows["crowd"])
        valid = rows["valid"]
        if "neutral" in rows:
            valid = ops.logical_and(valid, ops.logical_not(rows["neutral"]))
        keep = present = ops.logical_and(ops.logical_and(inside, valid), ops.logical_not(group))
        if "rotated" in rows:
            rotated = rows["rotated"][:, None]
            keep = ops.logical_and(keep, ops.logical_not(rotated))
            # A joint of a rotated image may lie inside where its box, which is not rotated, lies outside.
            beyond = ops.logical_and(rotated, ops.logical_and(valid, ops.logical_not(group)))
            present = ops.logical_or(present, beyond)
        center = (boxes[..., :2] + boxes[..., 2:]) / 2
        cell = ops.floor(center)
        sides = ops.ceil(size) if self.whole_sides else size
        return {
            "boxes": boxes,
            "size": size,
            "center": center,
            "cell": cell,
            "index": ops.cast(cell[..., 1] * width + cell[..., 0], "int32"),
            "radius": gaussian.whole(gaussian.radius(sides[..., 1], sides[..., 0], corrected=self.corrected_radius)),
            "classes": ops.cast(rows["classes"], "int32"),
            "keep": keep,
            "boxed": ops.logical_and(keep, rows["boxed"]) if "boxed" in rows else keep,
            "present": present,
            "ignored": ops.logical_and(inside, group),
            "neutral": ops.logical_and(inside, rows["neutral"]) if "neutral" in rows else None,
            "rotated": rows.get("rotated"),
            "grid": grid,
        }

    def encode(self, rows: Mapping[str, Any], centers: Mapping[str, Any]) -> dict[str, Any]:
        """Targets of heatmap, offset and size (official code, `datasets/sample/ctdet.py`).

        Args:
            rows: Unused; every task's encode takes it.
            centers: What `locate` returned.

        Returns:
            "heatmap": {"heatmap": [B, h, w, C]}, with "ignore" of the same shape where crowds are ignored; "offset" and
            "size": {"index", "mask", "value"} as `losses.masked_l1` takes them.
        """
        del rows
        mask = ops.cast(centers["boxed"], "float32")[..., None]
        size = centers["size"]
        if self.class_specific_size:
            chosen = ops.one_hot(centers["classes"], self.num_classes, dtype="float32")[..., None]  # [B, N, C, 1]
            shape = (*ops.shape(size)[:2], 2 * self.num_classes)
            size_value = ops.reshape(chosen * size[:, :, None], shape)
            size_mask = ops.reshape(ops.broadcast_to(chosen, (*ops.shape(chosen)[:3], 2)), shape) * mask
        else:
            size_value, size_mask = size, mask
        offset = {"index": centers["index"], "mask": mask, "value": centers["center"] - centers["cell"]}
        return {
            "heatmap": self.render(centers),
            "offset": offset,
            "size": {"index": centers["index"], "mask": size_mask, "value": size_value},
        }

    def render(self, centers: Mapping[str, Any]) -> dict[str, Any]:
        """Draws the target heatmap, and the map of ignored cells where crowds are ignored.

        Always float32: in bfloat16 the neighbours of a large object's centre round to exactly 1 and become centres.
        Rotated images are 0.9999 everywhere: no centre, and a wrong score costs next to nothing (official code,
        `datasets/sample/multi_pose.py`). So is what `_draw` leaves of neutral objects.
        """
        target = {"heatmap": self._draw(centers)}
        if centers["rotated"] is not None:
            rotated = centers["rotated"][:, None, None, None]
            target["heatmap"] = ops.where(rotated, UNJUDGED, target["heatmap"])
        if self.ignore_crowd:
            rows, columns = _box_profiles(centers)
            rows = rows * ops.cast(centers["ignored"], "float32")[..., None]
            target["ignore"] = gaussian.merge_planes(rows, columns, centers["classes"], self.num_classes)
        return target

    def _draw(self, centers: Mapping[str, Any]) -> Any:
        """The Gaussians of all objects, [B, h, w, C]."""
        neutral = centers["neutral"]
        if neutral is None:
            return self._draw_wanted(centers)
        # Neutral objects make drawing half as dear again, and most data sets have none.
        return ops.cond(ops.any(neutral), lambda: self._draw_with_neutral(centers), lambda: self._draw_wanted(centers))

    def _draw_wanted(self, centers: Mapping[str, Any]) -> Any:
        rows, columns = _gaussian_profiles(centers, centers["keep"])
        return gaussian.merge_planes(rows, columns, centers["classes"], self.num_classes)

    def _draw_with_neutral(self, centers: Mapping[str, Any]) -> Any:
        """Objects are drawn in their order.

        A neutral one sets its centre, or its box, to 0.9999, in the channel of its class or in all, whatever was there
        before; what comes later may exceed that (official code, `datasets/sample/ddd.py`).
        """
        neutral, classes = centers["neutral"], centers["classes"]
        rows, columns = _gaussian_profiles(centers, ops.logical_or(centers["keep"], neutral))
        if self.neutral_area:
            box_rows, box_columns = _box_profiles(centers)
            rows = ops.where(neutral[..., None], box_rows, rows)
            columns = ops.where(neutral[..., None], box_columns, columns)
        limits = ops.where(ops.logical_or(neutral, _overruled(centers, self.neutral_area)), UNJUDGED, 1.0)
        # One more channel for those of all classes.
        classes = ops.where(ops.logical_and(neutral, classes < 0), self.num_classes, classes)
        heatmap = gaussian.merge_planes(rows, columns, classes, self.num_classes + 1, limits)
        return ops.maximum(heatmap[..., :-1], heatmap[..., -1:])

    def peaks(self, outputs: Mapping[str, Any]) -> dict[str, Any]:
        """The best local maxima of the heatmap (Objects as Points, section 3, "From points to bounding boxes").

        Args:
            outputs: "heatmap" [B, h, w, C] logits and "offset" [B, h, w, 2].

        Returns:
            "scores" [B, K] in 0..1, falling; "classes" [B, K] int32; "index" [B, K] int32 cell; "cell" [B, K, 2] its
            (x, y) as float; "center" [B, K, 2] with the offset added. A cell that is not the largest of its 3x3
            neighbourhood scores 0. K is max_objects whatever the grid.
        """
        scores = ops.sigmoid(ops.cast(outputs["heatmap"], "float32"))
        return self.peaks_of_scores(scores, outputs["offset"])

    def peaks_of_scores(self, scores: Any, offset: Any) -> dict[str, Any]:
        """`peaks` for a heatmap that is in 0..1 already: scores [B, h, w, C], offset [B, h, w, 2].

        Equal scores may come in any order.
        """
        _, height, width, _ = ops.shape(scores)
        pooled = ops.max_pool(scores, 3, strides=1, padding="same")
        kept = ops.where(scores < pooled, 0.0, scores)
        best, classes, index = self._best_flat(kept) if self.flat else self._best_cells(kept)
        index = ops.minimum(index, height * width - 1)
        cell = ops.cast(ops.stack([index % width, index // width], axis=-1), "float32")
        shift = ops.cast(losses.gather_cells(offset, index), "float32")
        return {
            "scores": best,
            "classes": classes,
            "index": index,
            "cell": cell,
            "center": cell + shift,
        }

    def _best_cells(self, scores: Any) -> tuple[Any, Any, Any]:
        """The K best of [B, h, w, C]: scores, classes and cells [B, K]; a cell may lie beyond the last.

        They lie in the K cells whose best class scores highest, for any other cell is beaten by K of them; so only
        K x C scores are sorted, not h x w x C.
        """
        batch, height, width, classes = ops.shape(scores)
        cells = ops.reshape(scores, (batch, height * width, classes))
        if not isinstance(height * width, int) or height * width < self.max_objects:
            cells = ops.pad(cells, ((0, 0), (0, self.max_objects), (0, 0)))
        _, best_cells = ops.top_k(ops.max(cells, axis=-1), self.max_objects)
        best_cells = ops.cast(best_cells, "int32")  # [B, K]
        candidates = losses.gather_cells(cells[:, :, None], best_cells)  # [B, K, C]
        best, place = ops.top_k(ops.reshape(candidates, (batch, self.max_objects * classes)), self.max_objects)
        place = ops.cast(place, "int32")
        return best, place % classes, ops.take_along_axis(best_cells, place // classes, axis=1)

    def _best_flat(self, scores: Any) -> tuple[Any, Any, Any]:
        """As `_best_cells`, of one list."""
        batch, height, width, classes = ops.shape(scores)
        count = height * width * classes
        listed = ops.reshape(scores, (batch, count))
        if not isinstance(count, int) or count < self.max_objects:
            listed = ops.pad(listed, ((0, 0), (0, self.max_objects)))
        best, place = ops.top_k(listed, self.max_objects)
        place = ops.cast(place, "int32")
        return best, place % classes, place // classes

    def decode(self, outputs: Mapping[str, Any], peaks: Mapping[str, Any]) -> dict[str, Any]:
        """Peaks to boxes.

        Args:
            outputs: "size" [B, h, w, 2] or [B, h, w, 2 C] (width, height) in cells.
            peaks: What `peaks` returned.

        Returns:
            "boxes" [B, K, 4] left, top, right, bottom in cells, unclipped; "scores" [B, K]; "classes" [B, K] int32.
        """
        size = ops.cast(losses.gather_cells(outputs["size"], peaks["index"]), "float32")
        if self.class_specific_size:
            batch, count, _ = ops.shape(size)
            pairs = ops.reshape(size, (batch * count * self.num_classes, 2))
            row = ops.arange(batch * count, dtype="int32") * self.num_classes + ops.reshape(peaks["classes"], (-1,))
            size = ops.reshape(ops.take(pairs, row, axis=0), (batch, count, 2))
        half = size / 2
        boxes = ops.concatenate([peaks["center"] - half, peaks["center"] + half], axis=-1)
        return {"boxes": boxes, "scores": peaks["scores"], "classes": peaks["classes"]}


def _gaussian_profiles(centers: Mapping[str, Any], drawn: Any) -> tuple[Any, Any]:
    """Rows [B, N, h] and columns [B, N, w] of the Gaussian of each object that is `drawn` [B, N], zeros of others."""
    height, width = centers["grid"]
    reach = ops.where(drawn, centers["radius"], -1.0)
    return (
        gaussian.profile(centers["cell"][..., 1], reach, height),
        gaussian.profile(centers["cell"][..., 0], reach, width),
    )


def _box_profiles(centers: Mapping[str, Any]) -> tuple[Any, Any]:
    """Rows [B, N, h] and columns [B, N, w] of the cells that each object's box touches, 0 or 1."""
    height, width = centers["grid"]
    left, top, right, bottom = (centers["boxes"][..., side] for side in range(4))
    return gaussian.box_profile(top, bottom, height), gaussian.box_profile(left, right, width)


def _overruled(centers: Mapping[str, Any], area: bool) -> Any:
    """[B, N] bool: objects whose centre a later neutral one of their class covers, with its centre or its box."""
    cell, classes, order = centers["cell"], centers["classes"], ops.arange(ops.shape(centers["classes"])[1])
    low, high = (centers["boxes"][..., :2], centers["boxes"][..., 2:]) if area else (cell, cell)
    inside = ops.logical_and(cell[:, :, None] >= ops.floor(low)[:, None], cell[:, :, None] <= high[:, None])
    meant = ops.logical_or(classes[:, None] < 0, classes[:, None] == classes[:, :, None])
    later = ops.logical_and(order[None, :] > order[:, None], centers["neutral"][:, None])
    return ops.any(ops.logical_and(ops.logical_and(ops.all(inside, axis=-1), meant), later), axis=2)
