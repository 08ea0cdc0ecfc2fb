"""The notebooks run from the first cell to the last, in an empty folder, with fewer images and epochs."""

import os
import re
import sys
from pathlib import Path

import pytest

nbclient = pytest.importorskip("nbclient", reason="runs notebooks; pip install '.[test]'")
nbformat = pytest.importorskip("nbformat")

FOLDER = Path(__file__).parents[1] / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
FEW = {"IMAGES": 40, "EPOCHS": 1}


def read(path):
    return nbformat.read(path, as_version=4)


def sources(book):
    return [cell.source for cell in book.cells if cell.cell_type == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_they_are_clean(path):
    book = read(path)
    nbformat.validate(book)
    assert book.cells[0].source.startswith("# ") and "pip install ." in book.cells[0].source
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in book.cells)


def test_a_page_leads_to_each():
    page = (FOLDER.parent / "start.md").read_text(encoding="utf-8")
    assert NOTEBOOKS and all(f"notebooks/{path.name}" in page for path in NOTEBOOKS)


def fewer(source):
    """A cell of parameters with small numbers."""
    names = re.match(r"([A-Z_, ]+) = [\d, ]+$", source)[1].split(", ")
    return "\n".join(f"{name} = {FEW[name]}" for name in names)


def checked(source):
    """A cell in which a command that fails is an error, as it is not in a notebook."""
    return re.sub(r"^(!.*)$", r"\1\nassert _exit_code == 0, _exit_code", source, flags=re.MULTILINE)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_they_run(path, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    book = read(path)
    for cell in book.cells:
        if cell.cell_type == "code":
            cell.source = fewer(cell.source) if "parameters" in cell.metadata.get("tags", []) else checked(cell.source)
    nbclient.NotebookClient(book, timeout=300, resources={"metadata": {"path": tmp_path}}).execute()
    shown = [output for cell in book.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in shown[-1:]), "the last cell shows a picture"
    scored = any("centernet_tf.evaluate(" in source for source in sources(book))
    assert any("AP" in output.get("data", {}).get("text/plain", "") for output in shown) == scored


@pytest.mark.long
def test_a_command_that_fails_is_an_error(tmp_path):
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(checked("!exit 3"))])
    with pytest.raises(nbclient.exceptions.CellExecutionError, match="exit 3"):
        nbclient.NotebookClient(book, timeout=60, resources={"metadata": {"path": tmp_path}}).execute()
