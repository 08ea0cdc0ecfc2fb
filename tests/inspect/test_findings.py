import pytest

from centernet_tf.inspect.findings import CHECKS, EXAMPLES, SEVERITIES, Notebook


def test_an_empty_notebook_has_no_findings():
    notebook = Notebook()
    notebook.add("no_objects", "a.png", 0)
    assert notebook.findings() == []


def test_counts_add_up_examples_stay_few_and_the_gravest_come_first():
    notebook = Notebook()
    for number in range(EXAMPLES + 3):
        notebook.add("no_objects", f"{number}.png", 2)
    notebook.add("empty_box", "a.png")
    first, second = notebook.findings()
    assert (first.code, first.severity, first.count) == ("empty_box", "error", 1)
    assert (second.code, second.severity, second.count) == ("no_objects", "note", 2 * (EXAMPLES + 3))
    assert second.examples == [f"{number}.png" for number in range(EXAMPLES)]


@pytest.mark.parametrize("code", CHECKS)
def test_every_check_says_what_and_how_to_mend(code):
    check = CHECKS[code]
    assert check.severity in SEVERITIES
    assert check.what
    assert not check.what.endswith(".")
    assert check.fix.endswith(".")
