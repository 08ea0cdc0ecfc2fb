"""The list of images: sorted, the same whatever the order it came in, with every name once."""

import json
import os

import pytest

from centernet_tf.errors import DataError, UsageError
from centernet_tf.shards import listing
from centernet_tf.shards.listing import Block, blocks_of, digest_of, listed, names_of, write_list


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for name in ("b.jpg", "a.PNG", "10.jpg", "2.jpg", ".hidden.jpg", "notes.md", "clip.mp4"):
        (tmp_path / "in" / name).touch()
    return tmp_path


def names(*inputs):
    with listed(inputs) as found:
        return list(found)


def test_a_folder(folder):
    assert names("in") == ["in/10.jpg", "in/2.jpg", "in/a.PNG", "in/b.jpg"]


@pytest.mark.parametrize("held", [1, 2, 3, 1000])
def test_parts_are_sorted_in_memory_and_merged(folder, monkeypatch, held):
    monkeypatch.setattr(listing, "HELD", held)
    (folder / "list.txt").write_bytes(b"\xef\xbb\xbfz.jpg\r\n\r\nb/c.jpg\na b.webp\n")
    (folder / "one.gif").touch()
    expected = ["a b.webp", "b/c.jpg", "in/10.jpg", "in/2.jpg", "in/a.PNG", "in/b.jpg", "one.gif", "z.jpg"]
    assert names("list.txt", "in", "one.gif") == expected
    assert names("one.gif", "in", "list.txt") == expected


@pytest.mark.skipif(os.name == "nt", reason="names of files are text there")
def test_names_of_any_bytes_and_lines(folder):
    (folder / "odd").mkdir()
    odd = [os.fsdecode(b"odd/caf\xe9.jpg"), "odd/new\nline.jpg", 'odd/quote".jpg', "odd/\u00e9.jpg"]
    for name in odd:
        (folder / name).touch()
    with listed(["odd"]) as found:
        count, digest = write_list(folder / "l.jsonl", found)
    (block,) = blocks_of(folder / "l.jsonl", 10, digest)
    assert count == 4 and names_of(folder / "l.jsonl", block) == sorted(odd)
    (folder / "some.txt").write_bytes(b"odd/caf\xe9.jpg\n")
    assert names("some.txt") == odd[:1]


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (["gone"], "gone: no such file or folder"),
        (["in", "in/b.jpg"], "in/b.jpg: given twice"),
        (["in/clip.mp4"], "in/clip.mp4: no image by its name"),
        (["webcam"], "webcam:0: no image by its name"),
        (["http://a.b/c.mp4"], "no image by its name"),
        (["empty"], "empty: no images directly in this folder"),
        (["none.txt"], "none.txt: no image is named there"),
        (["videos.txt"], "videos.txt: line 2: clip.mp4: no image by its name"),
        (["streams.txt"], "streams.txt: line 1: http://a/b.jpg: no image by its name"),
        (["schemes.txt"], "nowhere:// cannot be opened here"),
    ],
)
def test_what_is_no_list_of_images(folder, inputs, said):
    (folder / "empty").mkdir()
    texts = {"none": "\n\n", "videos": "a.jpg\nclip.mp4\n", "streams": "http://a/b.jpg", "schemes": "nowhere://a/b.jpg"}
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text)
    with pytest.raises(UsageError, match=said):
        names(*inputs)


@pytest.mark.parametrize(
    ("count", "size", "sizes"), [(0, 3, []), (1, 3, [1]), (3, 3, [3]), (4, 3, [3, 1]), (7, 2, [2, 2, 2, 1])]
)
def test_blocks(tmp_path, count, size, sizes):
    wanted, path = [f"{number}.jpg" for number in range(count)], tmp_path / "list"
    told = write_list(path, wanted)
    assert told == digest_of(wanted) and told[0] == count
    blocks = blocks_of(path, size, told[1])
    assert [block.count for block in blocks] == sizes
    assert [block.number for block in blocks] == list(range(len(sizes)))
    assert [name for block in blocks for name in names_of(path, block)] == wanted
    assert all(names_of(path, block)[0] == wanted[block.first] for block in blocks)


def test_a_list_that_was_changed(tmp_path):
    path = tmp_path / "list"
    _, digest = write_list(path, ["a.jpg", "b.jpg"])
    assert blocks_of(path, 2, digest) == [Block(0, 0, 2, 0)]
    path.write_text(json.dumps("a.jpg") + "\n")
    with pytest.raises(DataError, match="was changed since this run began"):
        blocks_of(path, 2, digest)
    path.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        blocks_of(path, 2, digest)
