"""docs/settings.md: every setting in tables, made of what stands beside them in the code."""

from collections.abc import Iterator

from centernet_tf.config.describe import Described, Setting, properties, sections

HEAD = """# Settings

Every setting of a run. Only `data.train` must be given; all others have the default that is told here, which is the
original's where it has one and nothing else is said. They stand in one YAML file, in sections or by their whole names,
and any can be given on the command line, `--set train.epochs=200`. An unknown name is an error that suggests the
nearest one. A section that has the name of a task belongs to runs that train it.

```yaml
backbone: resnet18_fpn
data: {train: tfrecords/mine/train, size: [384, 512]}
train.epochs: 50
```

`centernet init TASK` writes a file with what suits your own data, and everything else below as comments.

<!-- Made by `python -m centernet_tf.config > docs/settings.md`, of what stands beside the settings in the code. -->
"""

IN_RECORDS = """## Properties in dataset.yaml

What the objects of records have is said in their dataset.yaml, under `properties:`. `centernet records` writes it, and
tasks take it from there.
"""


def page() -> str:
    """The whole page, as Markdown."""
    return HEAD + "".join(f"\n{line}" if line else "\n" for line in _lines())


def _lines() -> Iterator[str]:
    for section in sections():
        yield f"## {section.name or 'The run'}"
        yield from _table(section)
    yield from IN_RECORDS.splitlines()
    yield ""
    for one in properties():
        yield f"### {one.name}"
        yield from _table(one)


def _table(section: Described) -> Iterator[str]:
    yield ""
    yield section.told if section.settings else f"{section.told} It has no settings."
    yield ""
    if section.settings:
        yield "| setting | default | choices | what it does |"
        yield "|---|---|---|---|"
        yield from map(_row, section.settings)
        yield ""


def _row(setting: Setting) -> str:
    default = "must be given" if setting.default is None else f"`{setting.default}`"
    return f"| `{setting.name}` | {default} | {setting.choices} | {setting.told} |"
