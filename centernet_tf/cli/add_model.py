"""Adds a trained model to those that come with the package, or replaces one: `python -m centernet_tf.cli.add_model`.

The model is written with weights of float16, scored beside the original, and described by a card. For instance:

python -m centernet_tf.cli.add_model runs/shapes/best.keras drawn-shapes --records tfrecords/shapes/val \
    --recipe detect_shapes --finds "six kinds of shapes" --data "1,600 drawn images" --licence MIT

Then put the table of `python -m centernet_tf.model.shipped` into docs/models.md.
"""

import argparse
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from centernet_tf import recipes
from centernet_tf.config import read_settings
from centernet_tf.data.dataset import Dataset, open_dataset
from centernet_tf.detector.detector import load
from centernet_tf.errors import DataError, UsageError
from centernet_tf.evaluation import evaluate
from centernet_tf.host.files import whole_folder, write_json
from centernet_tf.model import shipped as shipping
from centernet_tf.model.card import ModelCard
from centernet_tf.model.file import read_card
from centernet_tf.model.half import save_half
from centernet_tf.model.shipped import CARD, MODEL, MOST_ALL, MOST_ONE, Shipped, checksum, shipped

DECIMALS = 4  # of scores
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def add(model: Path, name: str, records: Path, recipe: str, finds: str, data: str, licence: str) -> Shipped:
    """Writes a model's copy and card into the package, both or neither.

    Args:
        model: The file of a training run.
        name: What it shall be called: small letters, digits and hyphens. One of that name is replaced.
        records: Records that were not trained on, which it is scored on.
        recipe: Name of the recipe that it was trained by.
        finds: What it finds, for people.
        data: What it learnt from, for people.
        licence: Of the weights and of that data.

    Returns:
        What was written on the card.

    Raises:
        UsageError: The name is none, the model was not trained by that recipe or elsewhere than below the folder that
            it ran in, or it is too large.
        DataError: It does not fit into float16, or cannot be written.
    """
    if not NAME.fullmatch(name):
        raise UsageError(f"{name}: a model's name has small letters, digits and single hyphens, such as drawn-shapes.")
    card, scored = read_card(model), open_dataset(records)
    command = command_of(recipe, card)
    with whole_folder(shipping.FOLDER) as folder:
        half = folder / f"{name}{MODEL}"
        save_half(model, half)
        _check_room(name, half.stat().st_size)
        made = Shipped(
            name=name,
            finds=finds,
            tasks=tuple(card.tasks),
            backbone=card.backbone,
            data=data,
            licence=licence,
            scores=_scores(half, scored),
            scores_float32=_scores(model, scored),
            scored_on=f"{scored.images} others",
            recipe=recipe,
            command=command,
            size=half.stat().st_size,
            sha256=checksum(half),
        )
        write_json(folder / f"{name}{CARD}", made.as_dict())
    return made


def command_of(recipe: str, card: ModelCard) -> str:
    """The command that trained a model: its recipe, and each setting in which the run differed from that.

    Raises:
        UsageError: The model does not say how it was trained, or names a place of the machine that it was trained on.
    """
    if "settings" not in card.about:
        raise UsageError("The model does not say how it was trained. Give one that `centernet train` wrote.")
    theirs = dict(_flat(read_settings(recipes.find(recipe)).model_dump(mode="json")))
    changed = {key: value for key, value in _flat(card.about["settings"]) if theirs.get(key) != value}
    for key, value in changed.items():
        if isinstance(value, str) and (PurePosixPath(value).is_absolute() or PureWindowsPath(value).is_absolute()):
            raise UsageError(f"{key} is {value}, a place of one machine. Train with paths below the folder you are in.")
    told = {key: value if isinstance(value, str) else json.dumps(value) for key, value in changed.items()}
    return " ".join(["centernet train", recipe, *(f"--set {key}={value}" for key, value in told.items())])


def _flat(settings: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """{"a": {"b": 1}} as ("a.b", 1)."""
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def _check_room(name: str, size: int) -> None:
    others = sum(one.size for one in shipped().values() if one.name != name)
    if size > MOST_ONE or size + others > MOST_ALL:
        raise UsageError(
            f"{name}: {size} bytes, and {others} of the other models; at most {MOST_ONE} of one and {MOST_ALL} of all "
            "come with the package. Train a narrower network, such as mobilenetv2_fpn:0.5."
        )


def _scores(model: Path, records: Dataset) -> dict[str, float]:
    return {key: round(value, DECIMALS) for key, value in evaluate(load(model), records).main.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """The program."""
    parser = argparse.ArgumentParser(prog="python -m centernet_tf.cli.add_model", description=__doc__.split("\n")[0])
    parser.add_argument("model", type=Path, help="the file of a training run")
    parser.add_argument("name", help="what it shall be called")
    parser.add_argument("--records", type=Path, required=True, help="records that were not trained on, to score on")
    parser.add_argument("--recipe", required=True, help="name of the recipe that it was trained by")
    parser.add_argument("--finds", required=True, help="what it finds")
    parser.add_argument("--data", required=True, help="what it learnt from")
    parser.add_argument("--licence", required=True, help="of the weights and of that data")
    try:
        made = add(**vars(parser.parse_args(arguments)))
    except (UsageError, DataError) as error:
        raise SystemExit(f"add_model: {error}") from None
    print(f"{made.path}: {made.size} bytes, {made.scores}, in float32 {made.scores_float32}")


if __name__ == "__main__":
    main()
