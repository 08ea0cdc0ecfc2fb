"""The option `--oracle` of `centernet evaluate`: scores with the ground truth in place of some heads."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from centernet_tf.cli.progress import progress
from centernet_tf.host.plain import plain
from centernet_tf.metrics.tables import number, percent

if TYPE_CHECKING:
    from centernet_tf.data.dataset import Dataset
    from centernet_tf.detector.detector import Detector
    from centernet_tf.detector.oracle import OracleDetector
    from centernet_tf.evaluation import Scores

EACH = "all"

Oracle = Annotated[
    list[str] | None,
    typer.Option(
        "--oracle",
        metavar="HEADS|all",
        help="Also score with the ground truth in place of these heads, such as heatmap,size; give it again for a "
        "further row. 'all': each head in turn, and all of them together. Every row is one more pass over the images.",
    ),
]


def make_oracles(console: Console, wishes: Sequence[str], detector: "Detector") -> "list[OracleDetector]":
    """The detectors whose rows were asked for.

    Args:
        console: Where it is told which heads cannot be replaced, where all that can are.
        wishes: Heads between commas, or `EACH`.
        detector: To be told the truth.

    Raises:
        UsageError: As `OracleDetector`.
    """
    from centernet_tf.detector.oracle import OracleDetector, known_heads

    known, others = known_heads(detector.tasks)
    if others and EACH in wishes:
        console.print(f"Of {', '.join(others)} the ground truth is no map, so the network's own answers stay.")
    return [OracleDetector(detector, heads) for wish in wishes for heads in _sets(wish, known)]


def tell_oracles(
    console: Console,
    oracles: "Sequence[OracleDetector]",
    dataset: "Dataset",
    scores: "Scores",
    batch_size: int,
    **options: Any,
) -> dict[str, Any]:
    """Scores each of `make_oracles` and prints its row.

    Args:
        console: Where the table goes.
        oracles: Of the detector that was scored.
        dataset: Records that it was scored on.
        scores: Without oracles.
        batch_size: Images at the same time.
        options: Of `evaluate.score`.

    Returns:
        The key "oracles" of the JSON: [{"heads": [name], "AP": ..., "AP50": ..., ...}], none first.
    """
    from centernet_tf.evaluation import evaluate

    lines = [{"heads": [], **_numbers(scores)}]
    with progress(console, transient=False) as bar:
        for oracle in oracles:
            task = bar.add_task("+".join(oracle.heads), total=dataset.images)
            found = evaluate(oracle, dataset, batch_size, lambda count, task=task: bar.advance(task, count), **options)
            lines.append({"heads": list(oracle.heads), **_numbers(found)})
    console.print(_table(lines))
    return {"oracles": [{name: _plain(value) for name, value in line.items()} for line in lines]}


def _sets(wish: str, known: Sequence[str]) -> list[list[str]]:
    """The heads of each row that one wish makes."""
    if wish == EACH:
        return [*([name] for name in known), *([list(known)] if len(known) > 1 else [])]
    return [[name.strip() for name in wish.split(",")]]


def _numbers(scores: "Scores") -> dict[str, float]:
    return {**scores.main, "AP50": scores.coco.summary["AP50"]}


def _plain(value: Any) -> Any:
    return number(value) if isinstance(value, float) else value


def _table(lines: Sequence[dict[str, Any]]) -> Table:
    table = Table("ground truth of", title="Oracles")
    names = [name for name in lines[0] if name != "heads"]
    for name in names:
        table.add_column(name, justify="right")
    for line in lines:
        heads = ", ".join(line["heads"]) or "nothing"
        table.add_row(plain(heads), *(percent(line[name]) for name in names))
    return table
