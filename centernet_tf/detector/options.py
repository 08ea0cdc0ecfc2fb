"""What a detector may do beyond one pass over one image."""

import dataclasses
from collections.abc import Sequence
from fractions import Fraction

from centernet_tf.errors import UsageError

FINEST = 1000  # Largest denominator of a scale.


@dataclasses.dataclass(frozen=True)
class Options:
    """Test-time augmentation (Objects as Points, section 5.1; official `--flip_test`, `--test_scales`, `--nms`), tiles.

    Attributes:
        flip: Answer with the mean of the input and its mirror image. Twice the work.
        scales: Search the image at each of these sizes, joined by soft-NMS. Where the input is fixed, it does not
            grow: 1.5 zooms into the image's middle and loses its borders, as in the original; with the resolution
            kept, the input grows with the image.
        nms: Soft-NMS for a single scale too; several scales always have it.
        stale_rows: Repeat an oddity of the original's soft-NMS, for the same figures to the last digit: of a box that
            falls below the threshold, the row that took its place is left behind once more. Such copies come back as
            objects. The order of rows matters then, so the loop is as long as there are candidates.
        tile: Height and width in pixels of windows that an image of any size is searched in, at its own resolution;
            None searches it in one piece. Memory follows the window, not the image.
        halo: Pixels at each inner side of a window that are seen but not searched; None for as many as the network
            needs to find exactly what it finds in one piece. Fewer are faster and only nearly the same.
        xla: Compile the network by XLA on TensorFlow, for each size of input that comes: seconds for the first image,
            then less time for each. Scores and boxes change by rounding. JAX compiles in any case.
    """

    flip: bool = False
    scales: tuple[float, ...] = (1.0,)
    nms: bool = False
    stale_rows: bool = False
    tile: tuple[int, int] | None = None
    halo: int | None = None
    xla: bool = False

    @property
    def merges(self) -> bool:
        """Whether candidates go through soft-NMS."""
        return self.nms or len(self.scales) > 1

    @property
    def fractions(self) -> tuple[Fraction, ...]:
        """The scales as exact ratios, so that sizes of images are computed in whole numbers."""
        return tuple(Fraction(scale).limit_denominator(FINEST) for scale in self.scales)

    def checked(self) -> "Options":
        """These options in plain types.

        Raises:
            UsageError: A value that means nothing, or options that exclude each other.
        """
        scales = self.scales if isinstance(self.scales, Sequence) else (self.scales,)
        usable = [isinstance(scale, (int, float)) and 0.05 <= scale <= 8 for scale in scales]
        if not scales or not all(usable) or len(set(scales)) < len(scales):
            raise UsageError(
                f"scales {self.scales}: expected different factors from 0.05 to 8, such as 0.5, 0.75, 1, 1.25, 1.5."
            )
        checked = dataclasses.replace(self, scales=tuple(float(scale) for scale in scales), tile=_pair(self.tile))
        if self.stale_rows and not checked.merges:
            raise UsageError("stale_rows changes soft-NMS, which does not run. Add nms or several scales.")
        if self.tile is None and self.halo is not None:
            raise UsageError("halo is the overlap of tiles. Give tile too, or leave it out.")
        if self.tile is not None and (checked.scales != (1.0,) or self.nms):
            raise UsageError(
                "tile searches an image at its own resolution, each part of it once, and needs no soft-NMS: scales "
                "and nms do not go with it. Leave out one or the other."
            )
        if self.halo is not None and self.halo < 0:
            raise UsageError(f"halo {self.halo}: expected pixels, 0 or more.")
        return checked


def _pair(tile: tuple[int, int] | int | None) -> tuple[int, int] | None:
    sides = (tile, tile) if isinstance(tile, int) else tile
    if sides is None:
        return None
    if len(sides) != 2 or not all(isinstance(side, int) and side > 0 for side in sides):
        raise UsageError(f"tile {tile}: expected height and width in pixels, such as (1024, 1024).")
    return tuple(sides)
