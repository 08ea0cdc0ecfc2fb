"""The `centernet` program: one module for each command, and one place for exit codes."""

import importlib
import os
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperCommand

from centernet_tf.errors import DataError, UsageError, out_of_memory
from centernet_tf.host.plain import plain
from centernet_tf.host.reading import address_in
from centernet_tf.version import VERSION

# TensorFlow and Keras take seconds to load, which no help and no mistyped option should cost: modules of this package
# import what needs them in the functions that use it, and TensorFlow itself is loaded when a command begins to run.

# Name: module in this package, what to run in it, and a line of help.
COMMANDS = {
    "records": ("records", "app", "Turn annotated images into records to train and evaluate on."),
    "inspect": ("inspect", "inspect", "Check records for errors before training on them."),
    "init": ("init", "init", "Write settings for your own data; list the recipes."),
    "train": ("train", "train", "Train a network, or resume a stopped run."),
    "pretrain": ("pretrain", "pretrain", "Train on drawn shapes, as a start for your own data."),
    "evaluate": ("evaluate", "evaluate", "Evaluate a model on records: AP of boxes and more."),
    "convert": ("convert", "convert", "Turn an official PyTorch checkpoint into a model."),
    "benchmark": ("benchmark", "benchmark", "Compare models and formats: time, memory, size."),
    "export": ("export", "export", "Export a model to SavedModel, TFLite or ONNX."),
    "models": ("models", "models", "Show the trained models that come with the package."),
    "detect": ("detect", "detect", "Find objects in images, folders, videos or a webcam."),
    "track": ("track", "track", "Follow objects through videos."),
    "demo": ("demo", "demo", "Show what models find on a local web page."),
}

LIGHT = ("models",)  # commands that need no TensorFlow
ALONE = ("models", "demo")  # commands that do something without any argument; the others then show their help

# What needs less memory, by command.
_IMAGES = "Give a smaller --batch-size or --size, or --tile for large images."
REMEDIES = {
    "records": "Give fewer --workers.",
    "inspect": "Give fewer --samples, or --no-decode.",
    "train": "Set a smaller train.batch_size or data.size: --set train.batch_size=4. What was learnt so far is kept.",
    "pretrain": "Set a smaller train.batch_size: --set train.batch_size=4. What was learnt so far is kept.",
    "evaluate": _IMAGES,
    "detect": _IMAGES,
    "track": "Give a smaller --size.",
    "export": "Give a smaller --size, or fewer records in --data.",
    "benchmark": "Measure fewer models at a time, or give smaller --images.",
}

HELP = """CenterNet (Objects as Points): from annotated images to a trained, measured detector.

A first run: `centernet records shapes --out tfrecords/shapes/train`, then `centernet train`, `evaluate`, `detect`.
`centernet COMMAND --help` explains each. Exit codes: 0 success, 1 failure, 2 invalid command or settings."""


def build_app(wanted: str | None = None) -> typer.Typer:
    """The program with one command loaded, or, for help and mistyped names, with all of them as names only."""
    app = typer.Typer(help=HELP, no_args_is_help=True, add_completion=False, rich_markup_mode=None)
    # A program with a single command would not ask for its name; one with a callback does.
    app.callback()(_program)
    for name, (module, attribute, summary) in COMMANDS.items():
        found: Any = _placeholder
        if name == wanted:
            found = getattr(importlib.import_module(f"centernet_tf.cli.{module}"), attribute)
        if isinstance(found, typer.Typer):
            for command in found.registered_commands:
                command.cls = _Command
            app.add_typer(found, name=name)
        else:
            text = None if name == wanted else summary
            app.command(name, cls=_Command, help=text, no_args_is_help=name == wanted and name not in ALONE)(found)
    return app


class _Command(TyperCommand):
    """A command that loads TensorFlow, where it needs that, once its arguments have been read."""

    def invoke(self, ctx: Any) -> Any:
        _check_places(ctx.params)
        if runner := ctx.params.get("runner"):
            importlib.import_module("centernet_tf.cli.conversion").check_installed(runner)
        if ctx.info_name not in LIGHT:
            _load_quietly("tensorflow")
        return super().invoke(ctx)


def _check_places(given: Mapping[str, Any]) -> None:
    """Raises UsageError where an address stands for a file or folder that must be on this machine."""
    for name, value in given.items():
        for one in value if isinstance(value, list | tuple) else [value]:
            if isinstance(one, Path) and (address := address_in(one)):
                raise UsageError(
                    f"{name.replace('_', '-')}: {address} is in a bucket, where only records are read and written. "
                    "Give a path of this machine."
                )


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"centernet_tf {VERSION}")
        raise typer.Exit


def _program(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """The options of the program itself, without a command."""


def _placeholder() -> None:
    """Stands for a command that is not loaded; it is listed, never run."""


def _load_quietly(module: str) -> None:
    """Imports a module whose C++ start-up notes would bury the answer; where the import fails they are shown."""
    sys.stderr.flush()
    shown = os.dup(2)
    with tempfile.TemporaryFile() as notes:
        os.dup2(notes.fileno(), 2)
        try:
            importlib.import_module(module)
        except BaseException:
            notes.seek(0)
            os.write(shown, notes.read())
            raise
        finally:
            os.dup2(shown, 2)
            os.close(shown)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the program and ends it: 0 success, 1 failure, 2 invalid command or settings, 130 stopped by Ctrl-C."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["MPLBACKEND"] = "agg"  # No window is opened, and a notebook names a backend that only its kernel has.
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    errors = Console(stderr=True, soft_wrap=True, highlight=False)
    try:
        build_app(arguments[0] if arguments else None)(args=arguments, prog_name="centernet")
    except UsageError as error:
        errors.print(plain(f"centernet: {error}"))
        raise SystemExit(2) from None
    except DataError as error:
        errors.print(plain(f"centernet: {error}"))
        raise SystemExit(1) from None
    except Exception as error:
        if out_of_memory(error):
            command = arguments[0] if arguments else ""
            remedy = REMEDIES.get(command, "Close other programs, or use a machine with more memory.")
            errors.print(plain(f"centernet: out of memory ({type(error).__name__}: {str(error)[:200]}). {remedy}"))
        elif isinstance(error, OSError):
            errors.print(plain(f"centernet: {str(error) or type(error).__name__}"))
        else:  # A fault of ours: the trace helps to report it, and the exit code stays a promise.
            traceback.print_exc()
            errors.print("centernet: internal error. Please report it with the lines above.")
        raise SystemExit(1) from None
