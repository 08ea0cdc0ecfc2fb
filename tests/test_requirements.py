"""No requirement admits a release with a known hole, and what the tests install satisfies every one."""

import ast
import configparser
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
# Releases through which a file or an answer from elsewhere could run code, read files, fill the memory or stop the
# program, the newest of each; see the advisories of each project.
HOLES = {
    "keras": ("3.11.3", "3.12.0", "3.13.0", "3.13.1"),  # CVE-2026-0897, CVE-2026-1462, CVE-2026-1669
    "pillow": ("10.2.0", "11.2.1", "12.1.0", "12.2.0"),  # CVE-2026-25990, CVE-2026-59197 to 59200
    "torch": ("2.5.1", "2.9.1"),  # CVE-2025-32434, CVE-2026-24747
    "opencv-python-headless": ("4.11.0.86",),  # CVE-2025-53644
    "onnx": ("1.17.0", "1.20.1"),  # CVE-2026-27489, CVE-2026-34447
    "grpcio": ("1.65.3",),  # CVE-2024-7246
    "pyyaml": ("5.3.1",),  # CVE-2020-14343
    "ray": ("2.51.2", "2.53.0"),  # CVE-2025-62593, CVE-2026-27482
    "pydantic": ("2.3.0",),  # CVE-2024-3772
    "werkzeug": ("2.3.8", "3.0.5", "3.1.3"),  # CVE-2024-49767, CVE-2025-66221
}


def wanted() -> list[Requirement]:
    """Every line of setup.cfg."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    texts = [config["options"]["install_requires"], *config["options.extras_require"].values()]
    lines = [line.strip() for text in texts for line in text.splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "centernet_tf["))]


def pinned(python: str) -> dict[str, str]:
    """{package: version} of constraints.txt for a version of Python."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    here = [pin for pin in pins if not pin.marker or pin.marker.evaluate({"python_version": python})]
    return {pin.name.lower(): next(iter(pin.specifier)).version for pin in here}


@pytest.mark.parametrize("name", HOLES)
def test_releases_with_holes_are_left_out(name):
    found = [requirement for requirement in wanted() if requirement.name == name]
    assert found
    admitted = [version for one in found for version in HOLES[name] if one.specifier.contains(version)]
    assert not admitted


@pytest.mark.parametrize("python", PYTHONS)
def test_the_pins_satisfy_the_requirements(python):
    pins = pinned(python)
    for one in wanted():
        if not one.marker or one.marker.evaluate({"python_version": python}):
            if one.name == "torch" and python != "3.11":
                continue  # tested on one version of Python
            assert one.specifier.contains(pins[one.name.lower()]), one


# Modules whose package has another name.
PACKAGES = {"cv2": "opencv-python-headless", "PIL": "pillow", "yaml": "pyyaml", "pydantic_core": "pydantic"}


def test_what_modules_import_at_once_is_installed_with_the_package():
    """Extras are imported where they are used; anything else that is missing would end every command."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = [line.strip() for line in config["options"]["install_requires"].splitlines()]
    installed = {Requirement(line).name.lower() for line in lines if line and not line.startswith("#")}
    imported = {}
    for path in sorted((ROOT / "centernet_tf").rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            imported.update({name.partition(".")[0]: path.name for name in names})
    foreign = {
        name: where for name, where in imported.items() if name not in {*sys.stdlib_module_names, "centernet_tf"}
    }
    assert {"numpy", "keras", "scipy"} <= set(foreign)
    missing = {name: where for name, where in foreign.items() if PACKAGES.get(name, name).lower() not in installed}
    assert not missing
