"""The trained models that come with the package, and the names that stand for them wherever a model is asked for."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from centernet_tf.errors import UsageError, closest

FOLDER = Path(__file__).parents[1] / "models"  # NAME.keras, and NAME.json with what `Shipped` has
MODEL, CARD = ".keras", ".json"
MOST_ONE, MOST_ALL = 3_000_000, 12_000_000  # bytes of one model, and of all together
_AGAIN = "Install centernet_tf again."


@dataclasses.dataclass(frozen=True)
class Shipped:
    """What is known of a model that comes with the package.

    Attributes:
        name: What it is called on the command line and by `centernet_tf.load`.
        finds: What it finds, for people.
        tasks: Names of its tasks.
        backbone: Its trunk.
        data: What it learnt from.
        licence: Of its weights and of that data.
        scores: {metric: value in 0..1} of the file as it is shipped, in float16.
        scores_float32: The same of the model that was trained.
        scored_on: Which images the scores are of; none of them was trained on.
        recipe: Name of the recipe that it was trained by.
        command: What trained it: the recipe, and what differed from it.
        size: In bytes.
        sha256: Checksum of the file, in hexadecimal digits.
    """

    name: str
    finds: str
    tasks: tuple[str, ...]
    backbone: str
    data: str
    licence: str
    scores: Mapping[str, float]
    scores_float32: Mapping[str, float]
    scored_on: str
    recipe: str
    command: str
    size: int
    sha256: str

    @property
    def path(self) -> Path:
        """The model file."""
        return FOLDER / f"{self.name}{MODEL}"

    @property
    def told(self) -> dict[str, str]:
        """{heading: cell} of tables for people."""
        scores = ", ".join(f"{name} {value:.2f}" for name, value in self.scores.items())
        return {
            "name": self.name,
            "finds": self.finds,
            "task": ", ".join(self.tasks),
            "learnt from": self.data,
            "score": f"{scores} on {self.scored_on}",
            "MB": f"{self.size / 1e6:.1f}",
            "licence": self.licence,
        }

    def checked(self) -> Path:
        """The model file, whose bytes are those that were shipped.

        Raises:
            UsageError: It is missing, or another one.
        """
        if not self.path.is_file():
            raise UsageError(f"{self.name}: this model comes with the package, but {self.path} is missing. {_AGAIN}")
        found = checksum(self.path)
        if found != self.sha256:
            raise UsageError(
                f"{self.name}: {self.path} is damaged or not the file that came with the package: its SHA-256 is "
                f"{found[:12]}..., expected {self.sha256[:12]}.... {_AGAIN}"
            )
        return self.path

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return dataclasses.asdict(self)


def shipped() -> dict[str, Shipped]:
    """{name: model} of all that come with the package, by name.

    Raises:
        UsageError: A card is damaged.
    """
    return {path.stem: _read_card(path) for path in sorted(FOLDER.glob(f"*{CARD}"))}


def find(model: str | Path) -> Path:
    """The model that is meant: a file or folder at this path, or else the shipped one of this name.

    Raises:
        UsageError: There is neither, or the file of the shipped one is not as it was shipped.
    """
    path = Path(model)
    if path.exists():
        return path
    known = shipped()
    name = path.name.removesuffix(MODEL)
    if name in known and path.parent == Path():
        return known[name].checked()
    raise UsageError(
        f"{model}: no such model file. Train one with `centernet train`, or name one that comes with the package: "
        f"{', '.join(known)}.{closest(name, known)}"
    )


def checksum(path: Path) -> str:
    """SHA-256 of a model file, in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def table() -> str:
    """The models as a table in Markdown: `python -m centernet_tf.model.shipped`."""
    rows = [{**one.told, "name": f"`{one.name}`"} for one in shipped().values()]
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(row.values() for row in rows)] if rows else []
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _read_card(path: Path) -> Shipped:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Shipped(**{**content, "tasks": tuple(content["tasks"])})
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(f"{path}: the card of a model is damaged ({error}). {_AGAIN}") from None


if __name__ == "__main__":
    print(table())
