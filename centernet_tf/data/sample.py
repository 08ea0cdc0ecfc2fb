"""One training sample in NumPy: what stored lists of one image, or of several frames, become under random matrices.

Nothing here touches pixels or TensorFlow; `pipeline` hands in lists and sizes, and warps images by the matrices.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from centernet_tf.data import stretched
from centernet_tf.data.augment import PLAIN_COLOR, Augmentation, is_plain, perturbed, plain_matrix
from centernet_tf.data.checks import check_classes, check_numbers
from centernet_tf.data.distorted import PLAIN
from centernet_tf.data.example import rows_of, stored_size
from centernet_tf.data.fitted import Shake, fitted_matrices, shaken_boxes, worth_learning
from centernet_tf.geometry import affine
from centernet_tf.points.videos import PRESENT, Clip
from centernet_tf.properties.fields import JITTERED, ROTATED, ZOOM, Field
from centernet_tf.properties.property import Property, Rows
from centernet_tf.properties.rows import select

AUGMENTED = (ROTATED, JITTERED, ZOOM)  # fields that augmentation itself makes


@dataclasses.dataclass(frozen=True)
class Sampler:
    """How stored objects become padded rows.

    Attributes:
        size: Height and width of the network's input in pixels.
        window: What of an image fills the input's width.
        max_objects: Rows of an image.
        fields: What the tasks train on.
        properties: Those whose rows are read.
        classes: Names of the classes.
        augment: How images are changed; None shows them whole and centred.
        frames: Which frames a sample has, 0 among them.
        clip: How several frames make one sample; None for single images.
    """

    size: tuple[int, int]
    window: affine.Window
    max_objects: int
    fields: tuple[Field, ...]
    properties: tuple[Property, ...]
    classes: tuple[str, ...]
    augment: Augmentation | None
    frames: tuple[int, ...] = (0,)
    clip: Clip | None = None

    @property
    def padded(self) -> tuple[Field, ...]:
        """The fields of `rows` that `draw` returns, without those that augmentation makes."""
        return tuple(field for field in self.fields if field not in AUGMENTED)

    @property
    def read(self) -> tuple[Field, ...]:
        """The fields that records hold, of which samples are made."""
        made = () if self.clip is None else self.clip.fields
        own = [field for field in self.padded if field not in made]
        return tuple(dict.fromkeys([*own, *(() if self.clip is None else self.clip.reads)]))

    def draw(
        self, random: np.random.Generator | None, stored: Sequence[tuple[Any, Rows]], same: Sequence[bool] = (True,)
    ) -> "Sample":
        """Draws matrices and colour, reads the objects and moves them.

        Args:
            random: Source of chance; None without augmentation.
            stored: Shape [2 or 3] of the pixels, and lists by key, of each of `frames`.
            same: Of each of them, whether it is the present one.

        Raises:
            ValueError: The lists make no rows.
        """
        present = self.frames.index(0)
        sizes = [(int(shape[0]), int(shape[1])) for shape, _ in stored]
        if self.window == "stretched" and len(set(sizes)) > 1:  # one matrix stretches all
            raise ValueError(f"frames of one video have sizes {sorted(set(sizes))}, expected one")
        read = [self._read(lists, size) for (_, lists), size in zip(stored, sizes)]
        shake = cut = None
        if self.augment is not None and random is not None:
            shake = self.augment.shake(random, self.size) if self.augment.fits else None
            cut = self._cut(random, read, sizes, same) if self.augment.stretches else None
        matrix = self._matrix(random, *sizes[present], shake, cut)
        color, vivid, distortion = self._colors(random)
        matrices = [matrix if place == present else self._other(matrix, random, one) for place, one in enumerate(same)]
        moved = [self._moved(rows, size, one, shake) for rows, size, one in zip(read, sizes, matrices)]
        rows, drawn = self._joined(moved, same, self.size, random)
        if cut is not None and (limit := cut.limit(*sizes[present], self.size)) is not None:
            rows = self._cropped(rows, limit)
        valid, padded = self.pad(rows)
        return Sample(
            matrices=np.stack(matrices).astype(np.float32),
            color=color,
            vivid=vivid,
            distortion=distortion,
            jittered=np.bool_(not is_plain(matrix, *sizes[present], self.size, self.window)),
            zoom=self._zoom(matrix, *sizes[present]),
            valid=valid,
            rows=padded,
            drawn=self._drawn(drawn),
        )

    def pad(self, rows: Rows) -> tuple[np.ndarray, list[np.ndarray]]:
        """Which of `max_objects` rows are objects, [max_objects] bool, and the arrays of `padded`."""
        count = len(rows["boxes"])
        if count > self.max_objects:
            rows = select(rows, self.padded, np.arange(self.max_objects), count)
        valid = np.arange(self.max_objects) < count
        return valid, [self._padded(field, rows[field.name]) for field in self.padded]

    def place(
        self, random: np.random.Generator, lists: Rows, size: tuple[int, int], after: np.ndarray
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """One of several images that make one input.

        Args:
            random: Source of chance.
            lists: By key, as stored.
            size: Height and width of the image in pixels.
            after: [2, 3], pixels of the input that shows this image alone to pixels of the one that shows all.

        Returns:
            [2, 3] pixels of the image to those of that input, and the rows there.
        """
        matrix = affine.chain(self.augment.matrix(random, *size, self.size, self.window), after)
        return matrix, self._moved(self._read(lists, size), size, matrix, None)

    def shape(self, field: Field) -> tuple[int, ...]:
        """Of one image's padded array."""
        return field.shape if field.level == "image" else (self.max_objects, *field.shape)

    def _matrix(
        self,
        random: np.random.Generator | None,
        height: int,
        width: int,
        shake: Shake | None,
        cut: stretched.Cut | None,
    ) -> np.ndarray:
        """Geometry of the present frame."""
        if self.augment is None or random is None:
            return plain_matrix(height, width, self.size, self.window)
        if shake is not None:
            return fitted_matrices(shake, height, width, self.size)[0]
        if cut is not None:
            return cut.matrix(height, width, self.size)
        return self.augment.matrix(random, height, width, self.size, self.window)

    def _colors(self, random: np.random.Generator | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`Sample.color`, `vivid` and `distortion`, the same for all frames."""
        if self.augment is None or random is None:
            return PLAIN_COLOR, np.ones(2, np.float32), PLAIN
        return self.augment.color(random), self.augment.vivid(random), self.augment.distortion(random)

    def _cut(
        self, random: np.random.Generator, read: Sequence[Rows], sizes: Sequence[tuple[int, int]], same: Sequence[bool]
    ) -> stretched.Cut:
        """How all frames are cut, around what is learnt of them."""
        height, width = sizes[self.frames.index(0)]
        whole = [{**rows, "boxes": rows["full_boxes"]} for rows in read]
        rows, _ = self._joined(whole, same, (height, width), random)
        (*_, followed) = (field for field in self._boxes)
        boxes = rows[followed.name]
        return self.augment.cut(random, height, width, boxes.reshape(len(boxes), -1, 4))

    @property
    def _boxes(self) -> list[Field]:
        """The fields of boxes, those through several frames last."""
        return sorted((one for one in self.padded if one.motion == "boxes"), key=lambda one: len(one.shape))

    def _cropped(self, rows: Rows, limit: np.ndarray) -> dict[str, np.ndarray]:
        """The rows of objects that stay within a crop in every frame, clipped to it."""
        (*_, followed) = self._boxes
        boxes = rows[followed.name]
        kept = np.flatnonzero(stretched.inside(boxes.reshape(len(boxes), -1, 4), limit))
        rows = select(rows, self.padded, kept, len(boxes))
        clipped = {one.name: np.clip(rows[one.name], 0, np.tile(limit, 2)) for one in self._boxes}
        return {**rows, **{name: values.astype(np.float32) for name, values in clipped.items()}}

    def _joined(
        self, frames: Sequence[Rows], same: Sequence[bool], size: tuple[int, int], random: np.random.Generator | None
    ) -> tuple[Rows, Rows]:
        """Of `Clip.join`; the rows of the present frame where there are no clips."""
        if self.clip is None:
            return frames[self.frames.index(0)], {}
        present = [np.where(one, np.arange(len(frame["boxes"])), -1) for one, frame in zip(same, frames)]
        marked = [{**frame, PRESENT: place} for frame, place in zip(frames, present)]
        return self.clip.join(dict(zip(self.frames, marked)), size, random)

    def _zoom(self, matrix: np.ndarray, height: int, width: int) -> np.float32:
        plain = plain_matrix(height, width, self.size, self.window)
        return np.float32(np.sqrt(abs(np.linalg.det(matrix[:, :2]) / np.linalg.det(plain[:, :2]))))

    def _other(self, matrix: np.ndarray, random: np.random.Generator | None, same: bool) -> np.ndarray:
        """The matrix of a frame other than the present one, or the present one once more."""
        if self.clip is None or random is None or (self.clip.same_crop and not same):
            return matrix
        return perturbed(matrix, random, self.size, self.clip.shift, self.clip.scale)

    def _read(self, lists: Rows, size: tuple[int, int]) -> Rows:
        """Rows of one frame in pixels of the image."""
        rows = rows_of(lists, stored_size(lists) or size[::-1], self.classes, self.properties)
        check_classes(rows, self.classes)
        check_numbers(rows)
        return rows

    def _moved(
        self, rows: Rows, size: tuple[int, int], matrix: np.ndarray, shake: Shake | None
    ) -> dict[str, np.ndarray]:
        """Rows of one frame in pixels of the network's input. Boxes of a window move as if nothing rotated."""
        # What is cut off is decided on the output grid, from boxes as they were annotated, as in the original.
        rows = {**rows, "boxes": rows["full_boxes"]}
        straight = affine.upright(matrix, self.size) if matrix[0, 1] and shake is None else matrix
        mirrored = np.linalg.det(matrix[:, :2]) < 0
        moved = {}
        for field in self.read:
            values = affine.move(rows[field.name], straight if field.motion == "boxes" else matrix, field.motion)
            moved[field.name] = values[:, list(field.order)] if mirrored and field.order else values
        return moved if shake is None else self._shaken(rows["boxes"], moved, size, shake)

    def _shaken(self, boxes: np.ndarray, moved: dict[str, np.ndarray], size: tuple[int, int], shake: Shake) -> Any:
        """The rows of a fitted image with boxes [N, 4] of it moved as they are there, without those not worth it."""
        matrix = fitted_matrices(shake, *size, self.size)[1]
        moved["boxes"] = shaken_boxes(boxes, matrix, shake.angle)
        areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) * min(np.array(self.size) / size) ** 2
        kept = np.flatnonzero(worth_learning(moved["boxes"], areas, self.size))
        return dict(select(moved, self.read, kept, len(boxes)))

    def _padded(self, field: Field, values: np.ndarray) -> np.ndarray:
        full = np.full(self.shape(field), field.fill, field.dtype)
        if field.level == "image":
            full[...] = values
        else:
            full[: len(values)] = values[: self.max_objects]
        return full

    def _drawn(self, rows: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Padded rows that inputs are drawn from, and which of them are valid."""
        fields = () if self.clip is None else self.clip.drawn
        if not fields:
            return []
        count = min(len(rows[fields[0].name]), self.max_objects)
        padded = [self._padded(field, rows[field.name][:count]) for field in fields]
        return [*padded, np.arange(self.max_objects) < count]


@dataclasses.dataclass(frozen=True, eq=False)
class Sample:
    """What `Sampler.draw` returns.

    Attributes:
        matrices: [F, 2, 3] float32, pixels of each frame to those of the network's input.
        color: [6] float32, as `preprocess.recolor` takes it.
        vivid: [2] float32, factors of saturation and value, as `augment.recolored` takes them.
        distortion: [5] float32, as `distorted.distorted` takes them.
        jittered: [] bool, whether augmentation scaled or moved the image.
        zoom: [] float32, how many times as large it shows the image.
        valid: [N] bool, which rows are objects.
        rows: Padded arrays of `Sampler.padded`.
        drawn: Padded arrays of `Clip.drawn`, and their valid [N] bool; none where no input is drawn.
    """

    matrices: np.ndarray
    color: np.ndarray
    vivid: np.ndarray
    distortion: np.ndarray
    jittered: np.bool_
    zoom: np.float32
    valid: np.ndarray
    rows: list[np.ndarray]
    drawn: list[np.ndarray]
