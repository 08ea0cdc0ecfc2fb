"""Names that look like markup, emoji or commands to a terminal are shown as they are, wherever they are shown."""

import io

import numpy as np
import pytest
from rich.console import Console

from centernet_tf.cli.conversion import print_report
from centernet_tf.cli.progress import progress
from centernet_tf.datasets.report import Report
from centernet_tf.host.plain import plain
from centernet_tf.metrics.coco import CocoBoxes
from centernet_tf.metrics.tables import class_table
from centernet_tf.properties.keypoints.scores import PckScores

NAMES = ("car[/old]", "[parked]", "[bold]", ":car:", "a\\[b]\\", "\x1b[2Jgone", "\udcff", "na\u00efve \u8eca")
SHOWN = (*NAMES[:5], "\\x1b[2Jgone", "\\udcff", NAMES[7])


def shown(*things, **options) -> str:
    console = Console(file=io.StringIO(), width=200, force_terminal=False)
    console.print(*things, **options)
    return console.file.getvalue()


@pytest.mark.parametrize(("name", "expected"), zip(NAMES, SHOWN))
def test_text_is_shown_as_it_is(name, expected):
    assert shown(plain(name)) == f"{expected}\n"


@pytest.mark.parametrize(("text", "expected"), [("", ""), ("a\nb", "a\nb"), (5, "5"), ("a\rb\x07", "a\\rb\\x07")])
def test_texts(text, expected):
    assert plain(text).plain == expected


def test_class_names_of_scores():
    empty = {"boxes": [], "scores": [], "classes": []}
    metric = CocoBoxes(NAMES)
    metric.add(1, empty, empty)
    told = shown(class_table(metric.result()))
    assert all(name in told for name in SHOWN)


def test_names_of_keypoints():
    count = len(NAMES)
    scores = PckScores((0.1,), NAMES, np.ones(count, int), np.ones((count, 1)), np.ones(1))
    told = shown(*scores.tables())
    assert all(name in told for name in SHOWN)


def test_the_report_of_a_conversion(tmp_path):
    report = Report()
    report.images_skipped.extend((name, "is [/old]") for name in NAMES)
    console = Console(file=io.StringIO(), width=200)
    print_report(report, (), tmp_path / "[/run]", console)
    told = console.file.getvalue()
    assert all(f"left out: {name}: is [/old]" in told for name in SHOWN) and "[/run]" in told


def test_a_bar_for_any_name():
    console = Console(file=io.StringIO(), width=200, force_terminal=True)
    with progress(console, transient=False) as bar:
        for name in NAMES:
            bar.add_task(name, total=1)
    assert all(name in console.file.getvalue() for name in SHOWN)
