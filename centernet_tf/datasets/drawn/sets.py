"""Which of the drawn data sets shows what a model has learnt to find."""

import importlib
import pkgutil
from collections.abc import Iterable, Iterator

from centernet_tf.datasets import drawn
from centernet_tf.datasets.items import Split

ENOUGH = 0.5  # Part of the classes: with fewer, a name is shared by chance, such as that of photographed persons.


def showing(classes: Iterable[str], properties: Iterable[str], count: int, split: str) -> Split | None:
    """Drawn images, or videos, of what a model finds.

    Args:
        classes: Names of its classes.
        properties: Names of what it finds besides boxes.
        count: Number of images, or of videos.
        split: Images of splits of different names differ.

    Returns:
        Those that share most of the classes, and of these the ones that share most properties; None where no more than
        half of the classes are shared.
    """
    classes, properties = set(classes), set(properties)

    def likeness(made: Split) -> tuple[float, float]:
        return _shared(classes, set(made.classes)), _shared(properties, {one.name for one in made.properties})

    best = max(_all(count, split), key=likeness)
    return best if likeness(best)[0] > ENOUGH else None


def _all(count: int, split: str) -> Iterator[Split]:
    """Of every module beside this one that has arguments of its `read` for examples."""
    for found in pkgutil.iter_modules(drawn.__path__, f"{drawn.__name__}."):
        module = importlib.import_module(found.name)
        for arguments in getattr(module, "EXAMPLES", ()):
            yield module.read(count, split=split, **arguments)


def _shared(ours: set[str], theirs: set[str]) -> float:
    """The part that two sets have in common, 1 of two empty ones."""
    return len(ours & theirs) / len(ours | theirs) if ours or theirs else 1.0
