"""`centernet records ... --validation`: one call that writes the records of both splits."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from centernet_tf.cli.conversion import convert
from centernet_tf.datasets.items import Split
from centernet_tf.errors import UsageError
from centernet_tf.host.bucket import Bucket, as_place
from centernet_tf.host.plain import plain

Validation = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help="Write two splits, OUT/train and OUT/val, the latter of this share of the images, or videos, such as 0.2.",
    ),
]
Seed = Annotated[int | None, typer.Option(help="With --validation, another choice of these images. Default: 0.")]


def write(data: Split, validation: float | None, seed: int | None, *, out: str, **options: Any) -> None:
    """Writes the records of one split to a directory, or those of train and val to two directories in it.

    Args:
        data: The images.
        validation: Share of the images, or videos, for val; None writes all as one split.
        seed: Of the choice of these.
        out: Directory of the split, or of both.
        options: `name`, `split` and the others of `convert`.

    Raises:
        UsageError: The share is impossible, one of the splits would be empty, or the directory is that of one split.
        DataError: See `write_records`.
    """
    if validation is None:
        if seed is not None:
            raise UsageError(f"--seed {seed} is of the choice that --validation makes. Give --validation, too.")
        convert(data, out=out, **options)
        return
    from centernet_tf.datasets.division import divide

    place = as_place(out)
    _check_directory(place)
    division = divide(data, validation, seed or 0)
    console = Console()
    console.print(plain(division.told), soft_wrap=True, highlight=False)
    options["name"] = options["name"] or (place if isinstance(place, Bucket) else place.resolve()).name
    reports = {
        split: convert(part, out=place / split, **{**options, "split": split}) for split, part in division.parts.items()
    }
    for split, report in reports.items():
        if lacking := [name for name in data.classes if not report.objects_per_class[name]]:
            told = f"{split} has no object of {', '.join(lacking)}."
            console.print(plain(told), soft_wrap=True, highlight=False)


def _check_directory(out: Path | Bucket) -> None:
    from centernet_tf.data.dataset import DATASET_FILE
    from centernet_tf.datasets.division import TRAIN, VALIDATION

    if (out / DATASET_FILE).exists() or out.name in (TRAIN, VALIDATION):
        raise UsageError(
            f"--out {out}: is the directory of one split; with --validation it is that of both, in which {TRAIN} and "
            f"{VALIDATION} are made. Give the directory above, or another."
        )
