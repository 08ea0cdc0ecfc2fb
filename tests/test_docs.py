"""The documentation is right: commands, options, settings, and the list of the package's files."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
import yaml

from centernet_tf.cli import COMMANDS, build_app
from centernet_tf.config import parse_settings, settings_type
from centernet_tf.data.example import FRAME, IMAGE_KEYS, OBJECT_KEYS, TIME, VIDEO
from centernet_tf.geometry.camera import as_camera
from centernet_tf.properties.boxes3d import Boxes3d
from centernet_tf.properties.keypoints import Keypoints
from centernet_tf.properties.keypoints.skeleton import Skeleton
from centernet_tf.properties.tracks import Tracks
from centernet_tf.results import Detections
from centernet_tf.tasks import TASKS

ROOT = Path(__file__).parents[1]
PAGES = {path.relative_to(ROOT).as_posix(): path for path in (*ROOT.glob("*.md"), *ROOT.glob("[!.]*/*.md"))}
# What has happened keeps the names that it had.
CURRENT = {name: path for name, path in PAGES.items() if name != "CHANGELOG.md"}
CONFIGS = {path.relative_to(ROOT).as_posix(): path for path in (ROOT / "configs").glob("*.yaml")}

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"`([^`\n]+)`")


def blocks(text: str, *languages: str) -> list[str]:
    """The fenced blocks in one of the languages."""
    return [content for language, content in FENCE.findall(text) if language in languages]


def inline(text: str) -> list[str]:
    """The code within sentences and tables."""
    return CODE.findall(FENCE.sub("", text))


def command_lines(text: str) -> Iterator[str]:
    """Whole calls of `centernet` in a text: the end of a line each, behind `#`, "Example:" or two spaces."""
    for line in text.replace("\\\n", " ").splitlines():
        if match := re.search(r"(?:^|^# |  |Example: )(centernet [a-z].*)", line):
            yield match[1]


def placed(lines: Iterator[str], place: str) -> list[tuple[str, str]]:
    return [(place, line) for line in lines]


@pytest.fixture(scope="module")
def program():
    """{command: what parses it}; a command of its own for each format of `records`."""
    made = {}
    for name in COMMANDS:
        command = typer.main.get_command(build_app(name)).commands[name]
        made |= {f"{name} {inner}": one for inner, one in getattr(command, "commands", {name: command}).items()}
    return {" ".join(dict.fromkeys(name.split())): command for name, command in made.items()}


def options_of(command) -> set[str]:
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}


def parse(program, line: str) -> None:
    """Parses a call without running it; fails with what the program says of unknown, missing or invalid arguments."""
    words = shlex.split(line, comments=True)[1:]
    size = 2 if words[0] == "records" else 1
    name, arguments = " ".join(words[:size]), words[size:]
    assert name in program, f"centernet {name}: no such command"
    try:
        program[name].make_context(name, arguments)
    except Exception as error:
        message = error.format_message() if hasattr(error, "format_message") else repr(error)
        raise AssertionError(f"{line}: {message}") from None


def whole_calls() -> list[tuple[str, str]]:
    found = []
    for name, path in CURRENT.items():
        text = path.read_text(encoding="utf-8")
        found += placed((line for block in blocks(text, "sh", "bash", "") for line in command_lines(block)), name)
        # In sentences a call names its command alone, or a few options; with --out or --data it is whole.
        found += placed((code for code in inline(text) if re.match(r"centernet .*--(out|data) ", code)), name)
    for name, path in CONFIGS.items():
        found += placed(command_lines(path.read_text(encoding="utf-8")), name)
    return found


@pytest.mark.parametrize(("place", "line"), whole_calls())
def test_calls_parse(place, line, program):
    parse(program, line)


def test_examples_of_the_help_parse(program):
    lines = [line for command in program.values() for line in command_lines(command.help or "")]
    assert len(lines) > 8
    for line in lines:
        parse(program, line)


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("centernet detect a.keras images --out found  # --nonsense", ""),
        ("centernet records shapes --3d --out here", ""),
        ("centernet detect a.keras images --out found --nonsense", "[Nn]o such option"),
        ("centernet detect a.keras images", "Missing option '--out'"),
        ("centernet detect --out found", "Missing argument"),
        ("centernet export a.keras --out b --max-objects many", "valid integer"),
        ("centernet records bccd --out here", "no such command"),
    ],
)
def test_the_parser_itself(line, wrong, program):
    if not wrong:
        parse(program, line)
        return
    with pytest.raises(AssertionError, match=wrong):
        parse(program, line)


@pytest.mark.parametrize("page", CURRENT)
def test_options_in_sentences_exist(page, program):
    """`--flip`, `--scales 0.5,1`, `centernet detect --size 768x768`; of a command that is named, else of any."""
    known = set.union(*map(options_of, program.values())) | {"--help"}
    for code in inline(CURRENT[page].read_text(encoding="utf-8")):
        if not code.startswith(("--", "centernet ")):
            continue
        name = next((name for name in program if code.startswith(f"centernet {name} ")), "")
        own = options_of(program[name]) | {"--help"} if name else known
        unknown = set(re.findall(r"(?<!\S)--[a-z0-9-]+", code)) - own
        assert not unknown, f"{page}: `{code}`"


@pytest.mark.parametrize("page", [*CURRENT, *CONFIGS])
def test_settings_in_sentences_exist(page):
    """`augment.rotate`, `--set train.epochs=200`."""
    text = {**CURRENT, **CONFIGS}[page].read_text(encoding="utf-8")
    sections = settings_type()(data={"train": "records"}, task=list(TASKS))
    for section in settings_type().model_fields:
        for name in re.findall(rf"(?:`|--set ){section}\.([a-z_0-9]+)\b(?!\()", text):
            if name not in ("py", "yaml"):  # files
                assert hasattr(getattr(sections, section), name), f"{page}: {section}.{name}"


@pytest.mark.parametrize(
    ("page", "content"), [(name, block) for name, path in CURRENT.items() for block in blocks(path.read_text(), "yaml")]
)
def test_yaml_loads(page, content):
    """A skeleton, a camera, or settings of a run."""
    values = yaml.safe_load(content)
    if "keypoints" in values:
        Skeleton.from_dict(values)
    elif "camera" in values:
        as_camera(values["camera"])
    else:
        parse_settings({"data": {"train": "records"}, **values}, page)


@pytest.mark.parametrize("page", CURRENT)
def test_python_names_what_detections_have(page):
    text = "\n".join(blocks(CURRENT[page].read_text(encoding="utf-8"), "python"))
    compile(text, page, "exec")
    names = set(re.findall(r"\bdetections\.(\w+)", text))
    assert len(names) > 5 or page != "README.md"
    assert names <= set(dir(Detections)) | set(Detections.__dataclass_fields__)


def test_the_page_of_recipes_has_all_of_them():
    page = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    rows = [row.split("|")[1] for row in page.splitlines() if row.startswith("| `")]
    assert sorted(name for row in rows for name in CODE.findall(row)) == sorted(Path(name).stem for name in CONFIGS)


def test_all_keys_of_records_are_explained():
    told = (ROOT / "tfrecords" / "README.md").read_text(encoding="utf-8")
    kinds = (Keypoints, Boxes3d, Tracks)
    keys = [*IMAGE_KEYS, *OBJECT_KEYS, VIDEO, FRAME, TIME, *(key for kind in kinds for key in kind.keys)]
    for folder, _, name in (key.rpartition("/") for key in keys):
        assert f"`{folder}/" in told and re.search(rf"[`/]{name}`", told), f"{folder}/{name}"


@pytest.mark.parametrize("page", [*CURRENT, *CONFIGS])
def test_files_in_sentences_exist(page):
    """`centernet_tf/data`, `configs/detect_own.yaml`, `./scripts/test tests/checkpoints`."""
    text = {**CURRENT, **CONFIGS}[page].read_text(encoding="utf-8")
    for name in re.findall(r"(?<![\w/.-])(?:centernet_tf|tests|configs|scripts|docs)/[\w/.-]+\w", text):
        if "NAME" not in name:
            assert (ROOT / name).exists(), f"{page}: {name}"


def tree(text: str) -> dict[str, str]:
    """{path: its line} of the list of files; folders end with a slash."""
    (block,) = [block for block in blocks(text, "text") if block.startswith("centernet_tf/\n")]
    found, above = {}, []
    for line in block.splitlines()[1:]:
        name, _, told = line.strip().partition(" ")
        depth = (len(line) - len(line.lstrip())) // 2
        above = [*above[: depth - 1], name]
        found["".join(above)] = told.strip()
    return found


def test_the_list_of_files_is_complete():
    listed = tree((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    package = ROOT / "centernet_tf"
    files = {path.relative_to(package).as_posix() for path in package.rglob("*.py")}
    there = {name.removesuffix("__init__.py") for name in files} - {""}
    assert listed.keys() == there
    assert all(listed.values())


def test_lines_are_short():
    lines = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if len(line) > 120] == []
