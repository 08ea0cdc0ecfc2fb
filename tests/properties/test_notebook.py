from centernet_tf.properties.notebook import EXAMPLES, Check, Notebook

CHECKS = {
    "empty": Check("note", "images without objects", "Fine as background."),
    "flat": Check("error", "boxes without height", "Correct them."),
}


def test_an_empty_notebook_has_no_findings():
    notebook = Notebook(CHECKS)
    notebook.add("empty", "a.png", 0)
    assert notebook.findings() == []


def test_counts_add_up_examples_stay_few_and_the_gravest_come_first():
    notebook = Notebook(CHECKS)
    for number in range(EXAMPLES + 3):
        notebook.add("empty", f"{number}.png", 2)
    notebook.add("flat", "a.png")
    first, second = notebook.findings()
    assert (first.code, first.severity, first.count) == ("flat", "error", 1)
    assert (second.code, second.severity, second.count) == ("empty", "note", 2 * (EXAMPLES + 3))
    assert second.examples == [f"{number}.png" for number in range(EXAMPLES)]
