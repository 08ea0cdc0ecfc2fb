"""How many persons an image of `drawn.figures` shows, how large, how hidden and how faint."""

from dataclasses import dataclass

from centernet_tf.errors import UsageError


@dataclass(frozen=True)
class Stage:
    """What an image may contain. The defaults suit a small network at 128 x 128; `Stage.at` makes it harder.

    Attributes:
        persons: Fewest and most persons of an image; fewer are drawn where no room is left.
        balls: Most balls.
        blocks: Most plain rectangles that hide parts of what was drawn before.
        sizes: Shortest and longest standing height, as a fraction of the image's shorter side.
        tilt: Standard deviation of a body's lean in degrees.
        limber: How far limbs leave the standing pose, 0 to 1.
        turned: The fraction of persons that show their back.
        hidden: The largest fraction of an object that later objects and the image's edge may take away.
        outside: The largest fraction of a box' side that may lie beyond the image's edge.
        iou: The largest IoU of two boxes when placed.
        spacing: Smallest distance of two box centres when placed, as a fraction of the image's shorter side.
        contrast: Smallest distance of most colours from the ground's, RGB levels, 0 to 441.
        texture: Strength of the ground's pattern, 0 to 1.
        noise: Standard deviation of the grain over everything, as a fraction of 255.
        lines: Most distracting lines and arcs on the ground.
    """

    persons: tuple[int, int] = (1, 3)
    balls: int = 1
    blocks: int = 2
    sizes: tuple[float, float] = (0.4, 0.75)
    tilt: float = 8.0
    limber: float = 0.6
    turned: float = 0.2
    hidden: float = 0.3
    outside: float = 0.0
    iou: float = 0.2
    spacing: float = 0.08
    contrast: float = 90.0
    texture: float = 0.35
    noise: float = 0.02
    lines: int = 3

    def __post_init__(self) -> None:
        low, high = self.persons
        if not 0 <= low <= high <= 100:
            raise UsageError(f"figures: persons {self.persons} must be two counts, fewest first, from 0 to 100.")
        small, large = self.sizes
        if not 0 < small <= large <= 2:
            raise UsageError(
                f"figures: sizes {self.sizes} must be two fractions of the image, smallest first, up to 2."
            )
        for name in ("limber", "turned", "hidden", "outside", "iou", "spacing", "texture", "noise"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"figures: {name} {getattr(self, name)} must be from 0 to 1.")

    @classmethod
    def at(cls, difficulty: float) -> "Stage":
        """The stage between the defaults (0) and crowded, small, contorted, half hidden, faint and noisy (1).

        Raises:
            UsageError: The difficulty is not from 0 to 1.
        """
        if not 0 <= difficulty <= 1:
            raise UsageError(f"figures: difficulty {difficulty} must be from 0 to 1.")
        easy = cls()

        def between(start: float, end: float) -> float:
            return start + difficulty * (end - start)

        return cls(
            persons=(1, round(between(easy.persons[1], 10))),
            balls=round(between(easy.balls, 4)),
            blocks=round(between(easy.blocks, 6)),
            sizes=(between(easy.sizes[0], 0.2), between(easy.sizes[1], 0.9)),
            tilt=between(easy.tilt, 35.0),
            limber=between(easy.limber, 1.0),
            turned=between(easy.turned, 0.5),
            hidden=between(easy.hidden, 0.6),
            outside=between(easy.outside, 0.35),
            iou=between(easy.iou, 0.5),
            spacing=between(easy.spacing, 0.03),
            contrast=between(easy.contrast, 35.0),
            texture=between(easy.texture, 0.8),
            noise=between(easy.noise, 0.07),
            lines=round(between(easy.lines, 16)),
        )
