"""Options of `centernet evaluate` that look into errors, and what they write."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from centernet_tf.host.plain import plain

if TYPE_CHECKING:
    from centernet_tf.data.dataset import Dataset
    from centernet_tf.evaluation import Scores
    from centernet_tf.metrics.error_report import Errors

IOU = 0.5

ShowErrors = Annotated[
    bool,
    typer.Option(
        "--errors",
        help="Also say what is missing of the AP and why: missed and double peaks, wrong classes, boxes with a wrong "
        "size or place, background; by class and by size.",
    ),
]
ErrorsIou = Annotated[
    float | None, typer.Option("--errors-iou", metavar="IOU", help="IoU that makes a hit for --errors. Default: 0.5.")
]
ErrorsSheet = Annotated[
    Path | None,
    typer.Option("--errors-sheet", metavar="FILE", help="Write the images with most errors, drawn in, as one image."),
]
Tensorboard = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Write the errors to TensorBoard: numbers, a bar chart, the worst images."),
]


@dataclasses.dataclass(frozen=True)
class Wishes:
    """What was asked for: the options as typed.

    Attributes:
        errors: Whether errors are looked into, which the other options ask for, too.
        iou: That makes a hit.
        sheet: File of the worst images.
        tensorboard: Log folder.
    """

    errors: bool = False
    iou: float | None = None
    sheet: Path | None = None
    tensorboard: Path | None = None

    def __bool__(self) -> bool:
        return self.errors or any(one is not None for one in (self.iou, self.sheet, self.tensorboard))


def tell_errors(console: Console, wishes: Wishes, scores: "Scores", dataset: "Dataset", card: Any) -> dict[str, Any]:
    """Prints and writes what was asked for.

    Args:
        console: Where tables go.
        wishes: The options.
        scores: Of the evaluation.
        dataset: Records that were scored on.
        card: Of the model; None where results of files were scored.

    Returns:
        The key "errors" of the JSON.
    """
    from centernet_tf.metrics.error_pictures import chart
    from centernet_tf.metrics.error_report import find_errors

    thresholds = None if card is None else card.thresholds
    errors = find_errors(scores.boxes, IOU if wishes.iou is None else wishes.iou, thresholds)
    for table in errors.tables():
        console.print(table)
    drawn = _draw_worst(errors, dataset) if wishes.sheet or wishes.tensorboard else {}
    if wishes.sheet:
        _write_sheet(console, wishes.sheet, drawn)
    if wishes.tensorboard:
        from centernet_tf.training.board import write_summaries

        numbers = {f"errors/{kind}": value for kind, value in errors.ordered().items()}
        step = 0 if card is None else int(card.about.get("epoch", 0))
        write_summaries(wishes.tensorboard, step, numbers, {"errors": chart(errors), **drawn})
        console.print(plain(f"TensorBoard: {wishes.tensorboard}"), soft_wrap=True)
    return errors.as_dict()


def _draw_worst(errors: "Errors", dataset: "Dataset") -> dict[str, Any]:
    """{"worst images": sheet}; nothing where no image has errors."""
    from centernet_tf.detector.entries import as_image
    from centernet_tf.evaluation import records_of
    from centernet_tf.metrics.error_pictures import sheet, worst

    records = records_of(dataset, worst(errors.shown))
    if not records:
        return {}
    images = {number: as_image(record.image) for number, record in records.items()}
    titles = {number: record.filename for number, record in records.items()}
    return {"worst images": sheet(errors.shown, images, titles)}


def _write_sheet(console: Console, path: Path, drawn: dict[str, Any]) -> None:
    from centernet_tf.media.draw import save_image

    for picture in drawn.values():
        save_image(path, picture)
        console.print(plain(f"Worst images: {path}"), soft_wrap=True)
    if not drawn:
        console.print("No image has errors, so there is no sheet.")
