"""What goes with the code: who to cite, and the types of what the package exports."""

import ast
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

import centernet_tf

ROOT = Path(__file__).parents[1]


def test_citation():
    """The keys that the Citation File Format demands, and what changes from release to release."""
    content = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= content.keys()
    assert content["version"] == centernet_tf.__version__
    assert content["license"] == "MIT"
    for reference in content["references"]:
        assert {"type", "title", "authors"} <= reference.keys()


def imported_for_types(path):
    """{name: (module, attribute)} of what is imported for type checkers alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    blocks = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    imports = [node for block in blocks for node in block.body]
    return {one.asname or one.name: (node.module, one.name) for node in imports for one in node.names}


def test_type_checkers_see_what_is_exported():
    """At run time the same names are loaded on first use, from the same places."""
    seen = imported_for_types(Path(centernet_tf.__file__))
    assert seen == centernet_tf._HOMES
    assert sorted(seen) == centernet_tf.__all__


def test_a_source_distribution_has_every_file_at_the_top():
    """Tests read them; what setuptools adds by itself need not be named."""
    added = {"README.md", "pyproject.toml", "setup.cfg", "setup.py"}
    lines = (ROOT / "MANIFEST.in").read_text(encoding="utf-8").splitlines()
    named = {name for line in lines if line.startswith("include ") for name in line.split()[1:]}
    kinds = (".cff", ".cfg", ".md", ".py", ".toml", ".txt", ".yml")
    assert {path.name for path in ROOT.iterdir() if path.suffix in kinds} == named | added


@pytest.mark.long
def test_a_wheel_has_types_recipes_models_and_the_page(tmp_path):
    for name in ("setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    shutil.copytree(ROOT / "centernet_tf", tmp_path / "centernet_tf", ignore=shutil.ignore_patterns("__pycache__"))
    build = "from setuptools.build_meta import build_wheel; build_wheel('dist')"
    subprocess.run([sys.executable, "-c", build], cwd=tmp_path, check=True, capture_output=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"centernet_tf/py.typed", "centernet_tf/__init__.py"} <= names
    recipes = {f"centernet_tf/configs/{path.name}" for path in (ROOT / "configs").glob("*.yaml")}
    page = {f"centernet_tf/demo/page/{path.name}" for path in (ROOT / "centernet_tf" / "demo" / "page").iterdir()}
    assert len(page) == 3 and page <= names
    models = {f"centernet_tf/models/{path.name}" for path in (ROOT / "centernet_tf" / "models").iterdir()}
    assert len(models) > 1 and models <= names
    assert recipes and recipes == {name for name in names if name.endswith(".yaml")}
