"""The option `--fit-thresholds` of `centernet evaluate`: a model file with thresholds that suit the images."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from centernet_tf.errors import UsageError
from centernet_tf.host.plain import plain

if TYPE_CHECKING:
    from centernet_tf.data.dataset import Dataset
    from centernet_tf.detector.detector import Detector
    from centernet_tf.evaluation import Scores

IOU = 0.5

FitThresholds = Annotated[
    Path | None,
    typer.Option(
        "--fit-thresholds",
        metavar="FILE",
        help="Write the model once more, as this .keras file, with the threshold of each class that gives the best F1 "
        "on these images at IoU 0.5. `detect` keeps what scores above them when no --threshold is given, and exports "
        "of the file name them. Fit on validation images, not on those that you report scores of.",
    ),
]


def check_fit(path: Path, options: Mapping[str, Any]) -> None:
    """Raises UsageError before anything is searched, where the file is none, or options change what scores mean."""
    if path.suffix != ".keras":
        better = path.with_suffix(".keras")
        raise UsageError(f"--fit-thresholds {path}: a model's file name ends in .keras; try {better}.")
    for name, value in options.items():
        if value:
            raise UsageError(
                f"--fit-thresholds: with {name}, scores are not those that `detect` gives without it. Leave one out."
            )


def fit_and_save(
    console: Console, path: Path, detector: "Detector", dataset: "Dataset", scores: "Scores"
) -> dict[str, Any]:
    """Prints the thresholds and writes the model with them.

    Returns:
        The key "thresholds" of the JSON.
    """
    from centernet_tf.detector.found import THRESHOLD
    from centernet_tf.metrics.fitted import fit_thresholds
    from centernet_tf.metrics.matched import match
    from centernet_tf.model.file import save_model

    fitted = fit_thresholds(match(scores.boxes, IOU))
    console.print(fitted.table())
    source = f"{dataset.name}/{dataset.split}"
    about = {**detector.card.about, "thresholds": {"data": source, "images": dataset.images, "iou": IOU}}
    card = detector.card.model_copy(update={"thresholds": fitted.filled(THRESHOLD), "about": about})
    save_model(path, detector.network, card)
    console.print(plain(f"Model with thresholds: {path}"), soft_wrap=True)
    return fitted.as_dict()
