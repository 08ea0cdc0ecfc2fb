"""Puts the recipes of configs/ into the built package, where `centernet init` and `centernet train NAME` find them."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class WithRecipes(build_py):
    """Also copies the recipes; an editable installation reads them where they lie."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        folder = Path(self.build_lib, "centernet_tf", "configs")
        folder.mkdir(parents=True, exist_ok=True)
        for recipe in Path(__file__).parent.joinpath("configs").glob("*.yaml"):
            self.copy_file(str(recipe), str(folder / recipe.name))


setup(cmdclass={"build_py": WithRecipes})
