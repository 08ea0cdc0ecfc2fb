"""What the documentation names is there: pages, headings, pictures, and the parts of the package on the API's page."""

import ast
import importlib
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = {path.relative_to(ROOT).as_posix(): path for path in (*ROOT.glob("*.md"), *ROOT.glob("[!.]*/*.md"))}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
# [text](target), ![text](target), <img src="target">; behind a backtick it is code.
LINK = re.compile(r"\]\(([^)\s]+)\)|<img src=\"([^\"]+)\"")


def prose(path: Path) -> str:
    """A page without its blocks of code."""
    return FENCE.sub("", path.read_text(encoding="utf-8"))


def links(path: Path) -> list[str]:
    """Targets within the repository."""
    found = [link or picture for link, picture in LINK.findall(re.sub(r"`[^`\n]*`", "", prose(path)))]
    return [target for target in found if not re.match(r"[a-z]+:", target)]


def on_site(heading: str) -> str:
    """The anchor of a heading as Python-Markdown makes it."""
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())


def on_github(heading: str) -> str:
    """The same as GitHub makes it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def anchors(path: Path) -> set[str]:
    """Those that lead to a heading on the site and on GitHub, which number further headings of one name differently."""
    headings = [re.sub(r"\]\([^)]*\)|[`*\[\]]", "", heading) for heading in HEADING.findall(prose(path))]
    return {on_site(heading) for heading in headings} & {on_github(heading) for heading in headings}


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("`detect`: objects", "detect-objects"),
        ("Exports, and across images", "exports-and-across-images"),
        ("Black and white - colours", None),
    ],
)
def test_anchors_themselves(heading, anchor, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"# {heading}\n")
    assert anchors(page) == ({anchor} if anchor else set())


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    path = PAGES[page]
    for target in links(path):
        name, _, anchor = target.partition("#")
        goal = (path.parent / name).resolve() if name else path
        assert goal.is_file() or (goal.is_dir() and not anchor), f"{page}: {target}"
        assert not anchor or anchor in anchors(goal), f"{page}: {target}"


@pytest.mark.parametrize("page", [name for name in PAGES if name.startswith("docs/")])
def test_pages_of_the_site_stay_on_it(page):
    for target in links(PAGES[page]):
        goal = (PAGES[page].parent / target.partition("#")[0]).resolve()
        assert goal.is_relative_to(DOCS), f"{page}: {target}"


def listed(entries: list) -> list[str]:
    """Files of a navigation, in its order."""
    found = []
    for entry in entries:
        (value,) = entry.values()
        found += listed(value) if isinstance(value, list) else [value]
    return found


def test_the_navigation_has_every_page_once():
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    files = listed(settings["nav"])
    assert sorted(files) == sorted(path.name for path in DOCS.glob("*.md"))


def test_the_readme_leads_to_every_page():
    targets = {target.partition("#")[0] for target in links(ROOT / "README.md")}
    pages = {f"docs/{path.name}" for path in DOCS.glob("*.md")} - {"docs/index.md"}
    assert pages <= targets


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 900


@pytest.mark.parametrize("page", PAGES)
def test_pictures_say_what_they_show(page):
    text = prose(PAGES[page])
    assert not re.search(r"!\[\s*\]", text)
    assert all(re.search(r'alt="[^"]+"', tag) for tag in re.findall(r"<img [^>]*>", text))


def resolve(name: str):
    """What a dotted name of the package means."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            found = getattr(found, part)
        return found
    raise AttributeError(name)


def test_the_api_is_there_and_explained():
    """As the site takes it from docstrings."""
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    entries = re.findall(r"^::: ([\w.]+)\n((?:    .*\n)*)", text, re.MULTILINE)
    assert len(entries) > 20
    for name, options in entries:
        found = resolve(name)
        assert found.__doc__ and found.__module__.startswith("centernet_tf"), name
        for member in (yaml.safe_load(options) or {}).get("options", {}).get("members") or ():
            assert getattr(found, member).__doc__, f"{name}.{member}"


@pytest.mark.parametrize("page", [name for name in PAGES if name != "CHANGELOG.md"])
def test_python_imports_what_there_is(page):
    for language, block in FENCE.findall(PAGES[page].read_text(encoding="utf-8")):
        if language != "python":
            continue
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("centernet_tf"):
                for one in node.names:
                    resolve(f"{node.module}.{one.name}")
