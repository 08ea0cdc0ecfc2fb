"""`centernet init`: settings for one's own data, as a file to edit."""

import re
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from centernet_tf import recipes
from centernet_tf.host.bucket import Bucket, as_place
from centernet_tf.host.plain import plain

_TRAIN, _VALIDATION = "tfrecords/mine/train", "tfrecords/mine/val"  # in every recipe for one's own data
_BESIDE = ("val", "validation", "valid")  # names of the folder beside the training records


def init(
    task: Annotated[str, typer.Argument(help="What the network shall tell, such as detect.")] = "detect",
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("mine.yaml"),
    data: Annotated[
        str | None, typer.Option(metavar="PATH", help="Your training records, from which size and epochs follow.")
    ] = None,
    validation: Annotated[
        str | None, typer.Option(metavar="PATH", help="Records to score on. Default: val beside --data.")
    ] = None,
    short: Annotated[bool, typer.Option("--short", help="Leave out what the recipe does not set.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="Show all recipes instead.")] = False,
) -> None:
    """Write a YAML file of settings for your own data, to edit and train with.

    With --data it names your records and has numbers for what a recipe leaves to them: the size of the input, by the
    objects of the smallest class, and the number of epochs, each with the reason. Below them stand all other settings
    with their defaults, as comments that say what each does.

    Example: centernet init detect --data tfrecords/mine/train
    and then: centernet train mine.yaml --out runs/mine
    """
    from centernet_tf.errors import UsageError
    from centernet_tf.host.files import write_text

    console = Console(soft_wrap=True, highlight=False)
    if listed:
        console.print(_table())
        console.print(plain("Train with one: centernet train NAME --out runs/NAME"))
        return
    text = recipes.own(task).replace(f"configs/{task}{recipes.OWN}.yaml", str(out))
    if out.exists():
        raise UsageError(f"{out} exists. Give another --out, or remove it.")
    if data is not None:
        records = as_place(data)
        text = _with_data(text, records, as_place(validation) if validation else _beside(records))
    if not short:
        text += _everything_else(text, task)
    write_text(out, text)
    console.print(plain(f"Written: {out}. Edit it, then: centernet train {out} --out runs/mine"))


def _everything_else(text: str, task: str) -> str:
    """All settings that the recipe leaves out, as comments."""
    import yaml

    from centernet_tf.config.commented import commented

    return commented(yaml.safe_load(text), [task])


def _table() -> Table:
    """The recipes by name."""
    table = Table("recipe", "for", title="Recipes", title_justify="left")
    for name, said in recipes.recipes().items():
        table.add_row(plain(name), plain(said))
    return table


def _beside(data: Path | Bucket) -> Path | Bucket | None:
    """The folder of validation records beside those to train on, where there is one."""
    found = (data.parent / name for name in _BESIDE)
    return next((path for path in found if (path / "dataset.yaml").exists()), None)


def _with_data(text: str, data: Path | Bucket, validation: Path | Bucket | None) -> str:
    """The recipe with these records, and with numbers for what is "auto" in it.

    Raises:
        UsageError: There are no such records.
        DataError: They are damaged.
    """
    import yaml

    from centernet_tf.backbones import find_backbone
    from centernet_tf.data import choices
    from centernet_tf.data.dataset import open_dataset

    records, settings = open_dataset(data), yaml.safe_load(text)
    text = text.replace(_TRAIN, str(data)).replace(_VALIDATION, "null" if validation is None else str(validation))
    if "size: auto" in text:
        stride = find_backbone(settings["backbone"]).stride
        size, why = choices.input_size(choices.look(records.files, records.classes), stride)
        text = _chosen(text, "size", list(size), why)
    batch = settings["train"]["batch_size"]
    if batch == "auto":
        batch, why = choices.batch(records.images)
        text = _chosen(text, "batch_size", batch, why)
    if "epochs: auto" in text:
        count, why = choices.epochs(records.images, batch)
        text = _chosen(text, "epochs", count, why)
    return text


def _chosen(text: str, name: str, value: object, why: str) -> str:
    """The text with this value in place of "auto", and above it why, in place of what "auto" would be."""
    text = re.sub(r"^# auto: .*\n", "", text, flags=re.MULTILINE)
    pattern = rf"^(?P<indent> *)(?P<before>.*){name}: auto(?P<after>[^#\n]*?)(?: *#.*)?$"
    return re.sub(
        pattern,
        lambda found: (
            f"{found['indent']}# {name}: {why}\n{found['indent']}{found['before']}{name}: {value}{found['after']}"
        ),
        text,
        count=1,
        flags=re.MULTILINE,
    )
