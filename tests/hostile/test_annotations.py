"""Mutated annotations through every reader and into records: two kinds of errors at most, and sound objects or none."""

import base64
import io
import json
import logging
import shutil
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from centernet_tf.data.dataset import open_dataset
from centernet_tf.data.example import read_record
from centernet_tf.datasets import (
    box_csv,
    coco,
    hoi_hico,
    hoi_json,
    hoi_plain,
    hoi_vcoco,
    jde,
    kitti,
    kitti_tracking,
    label_studio,
    labelme,
    tfds,
    voc,
    yolo,
)
from centernet_tf.datasets.items import Split
from centernet_tf.datasets.writer import write_records
from centernet_tf.errors import DataError, UsageError
from centernet_tf.properties.keypoints.skeleton import Skeleton
from centernet_tf.properties.masks.runs import read_counts

WIDTH, HEIGHT = 64, 48
# Words that stand in place of others: numbers that overflow, and what the formats take for something else.
WORDS = (
    *("nan", "inf", "-inf", "NaN", "Infinity", "-Infinity", "1e308", "-1e308", "1e39", "-1e18", "1e-320", "-0", "-1"),
    *("1.99", "8.41", "-10", "1000", "2147483648", "18446744073709551616", "1" * 400, "9" * 5000, "0x" + "f" * 5000),
    *("", "null", "true", '""', "[]", "{}", "[[", "..", "../../x", "/nowhere", "~", "*a", "&a", "<<: *a", "!!bool x"),
    *("2001-99-99", "!!python/name:os.system x", "? [a]", "a: b: c", "1:30:00", "\u0663", "1_0", "a\0b", "[" * 3000),
)
BYTES = (b"\0", b"\xe9", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\x85", b"<", b'"', b"\xed\xa0\x80", b"\n\n", b"]")
VALUES = (
    *(None, True, -1, 0, 3, 10**6, 2**31, 2**64, -(2**70), 10**400, 0.5, -1e18, 1e39, 1e308, 5e-324),
    *(float("nan"), float("inf"), -float("inf"), "", "a", "1", "nan", "\ud800", "a\0b", "../x", "/nowhere", "." * 300),
    *([], {}, [[]], [None], ["a"], [1], [1e308] * 4, [float("nan")] * 4, {"a": []}),
)


def png(color: int = 90) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (WIDTH, HEIGHT), (color, 30, 60)).save(stream, "png")
    return stream.getvalue()


def coco_files() -> dict[str, bytes]:
    """Three images: with keypoints, with a crowd, with nothing."""
    joints = [5, 6, 2, 20, 8, 1, 0, 0, 0]
    rows = [
        {"id": 1, "image_id": 1, "category_id": 1, "bbox": [4, 5, 20, 30], "area": 500, "iscrowd": 0},
        {"id": 2, "image_id": 1, "category_id": 7, "bbox": [30.5, 5, 20, 30.25], "segmentation": [[1, 2, 3, 4, 5, 6]]},
        {"id": 3, "image_id": 2, "category_id": 7, "bbox": [0, 0, 64, 48], "area": 60.5, "iscrowd": 1},
    ]
    content = {
        "images": [{"id": n, "file_name": f"{n}.png", "width": WIDTH, "height": HEIGHT} for n in (1, 2, 3)],
        "annotations": [{**rows[0], "keypoints": joints, "num_keypoints": 2}, *rows[1:]],
        "categories": [
            {"id": 1, "name": "person", "keypoints": ["nose", "left", "right"], "skeleton": [[1, 2], [2, 3]]},
            {"id": 7, "name": "ball"},
        ],
    }
    return {"a.json": json.dumps(content).encode(), **{f"images/{n}.png": png(n) for n in (1, 2, 3)}}


def video_files() -> dict[str, bytes]:
    """The same images as frames of two videos."""
    files = coco_files()
    content = json.loads(files["a.json"])
    content["videos"] = [{"id": 1, "file_name": "hall"}, {"id": 2, "file_name": "street"}]
    for row, (video, frame) in zip(content["images"], ((1, 1), (1, 2), (2, 1))):
        row |= {"video_id": video, "frame_id": frame}
    for number, row in enumerate(content["annotations"]):
        row["track_id"] = number
    return {**files, "a.json": json.dumps(content).encode()}


def hoi_files() -> dict[str, bytes]:
    """The same objects, and who does what to which, in four formats."""
    files, boxes = coco_files(), [[4, 5, 24, 35], [30.5, 5, 50.5, 35.25], [0, 0, 64, 48]]
    objects = [{"bbox": box, "category_id": label} for box, label in zip(boxes, (1, "44\n", 2))]
    pairs = [{"subject_id": 0, "object_id": other, "category_id": 1 + other} for other in (1, 2, -1)]
    listed = [{"file_name": f"{n}.png", "annotations": objects[:n], "hoi_annotation": pairs[:n]} for n in (1, 2, 3)]
    actions = [
        {"action_name": name, "role_name": roles, "image_id": [1, 1], "ann_id": [1, 2], "label": [1, 0]}
        | {"role_object_id": [1, 2, *[2, 0] * (len(roles) - 1)]}
        for name, roles in (("hold", ["agent", "obj"]), ("walk", ["agent"]), ("hit", ["agent", "instr", "obj"]))
    ]
    lists = {"boxes_h": boxes[:1] * 2, "boxes_o": [boxes[1], None], "actions": [0, 1], "objects": [2, 0]}
    plain = {
        "classes": ["hold", "walk"],
        "objects": ["background", "person", "ball"],
        "annotations": [{"file_name": f"{n}.png", **lists, "ann_h": [1, 1], "ann_o": [2, None]} for n in (1, 2)],
    }
    named = {"listed": listed, "actions": actions, "plain": plain}
    return {**files, **{f"{name}.json": json.dumps(content).encode() for name, content in named.items()}}


def hico_files() -> dict[str, bytes]:
    def structs(*rows: dict) -> np.ndarray:
        array = np.empty(len(rows), object)
        array[:] = rows
        return array

    person, cup = ({"x1": left, "x2": left + 20, "y1": 3, "y2": 40} for left in (2, 30))
    act = {"id": 1, "bboxhuman": structs(person), "bboxobject": structs(cup), "connection": [[1.0, 1.0]], "invis": 0}
    images = [{"filename": f"{n}.png", "size": {"width": 64, "height": 48}, "hoi": structs(act)} for n in (1, 2, 3)]
    stream = io.BytesIO()
    content = {"bbox_train": structs(*images), "bbox_test": structs(*images[:1])}
    savemat(stream, {**content, "list_action": structs({"nname": "cup", "vname": "hold"})}, do_compression=True)
    return {"anno_bbox.mat": stream.getvalue(), **{f"images/{n}.png": png(n) for n in (1, 2, 3)}}


def voc_files() -> dict[str, bytes]:
    def one(name: str, left: int) -> str:
        box = f"<xmin>{left}</xmin><ymin>3</ymin><xmax>{left + 20}.5</xmax><ymax>40</ymax>"
        return f"<object><name>{name}</name><difficult>0</difficult><bndbox>{box}</bndbox></object>"

    size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>"
    text = "<annotation><filename>{}.png</filename>{}{}</annotation>"
    files = {}
    for number in (1, 2):
        objects = one("cat", 2 + number) + one("dog", 30)
        files[f"Annotations/{number}.xml"] = text.format(number, size, objects).encode()
        files[f"JPEGImages/{number}.png"] = png(number)
    return {**files, "ImageSets/Main/train.txt": b"1\n2\n"}


def yolo_files() -> dict[str, bytes]:
    head = "path: .\ntrain: images/train\nval: [list.txt]\nnames: {0: cat, 1: dog}\nnc: 2\n"
    rows = "0 0.5 0.5 0.25 0.5\n1 0.1 0.2 0.3 0.2 0.3 0.9\n"
    return {
        "data.yaml": head.encode(),
        "list.txt": b"images/train/1.png\nimages/train/2.png\n",
        "labels/train/1.txt": rows.encode(),
        "labels/train/2.txt": b"0 0.5 0.5 0.5 0.5\n",
        "labels/train/classes.txt": b"cat\ndog\n",
        "images/train/1.png": png(1),
        "images/train/2.png": png(2),
    }


def pose_files() -> dict[str, bytes]:
    files = yolo_files()
    head = b"kpt_shape: [2, 3]\nflip_idx: [1, 0]\nkpt_names: {0: [left, right]}\n"
    rows = {"1": b"0 0.5 0.5 0.25 0.5\n1 0.5 0.5 0.5 0.5 0.1 0.1 2 0 0 0\n", "2": b"0 .5 .5 .5 .5 .1 .1 2 .9 .9 1\n"}
    labels = {f"labels/train/{name}.txt": row for name, row in rows.items()}
    return {**files, **labels, "data.yaml": files["data.yaml"] + head}


def csv_files() -> dict[str, bytes]:
    rows = "path,label,x1,y1,x2,y2\n1.png,cat,1,2,30,40\n2.png,dog,3.5,2,60.25,40\n2.png,,,,,\n1.png,dog,5,6,7,8\n"
    return {"a.csv": rows.encode(), "1.png": png(1), "2.png": png(2)}


def labelme_files() -> dict[str, bytes]:
    """A mask, a polygon with a keypoint, a circle and a line; one image inside its annotations."""
    mask = base64.b64encode(png()).decode()
    kinds = {"mask": [[0, 0], [63, 47]], "polygon": [[1, 2], [30, 5], [9.5, 40]], "circle": [[20, 20], [20, 30]]}
    kinds |= {"rectangle": [[40, 30], [2, 3]], "line": [[1, 2], [3, 4]], "point": [[5, 6]]}
    shapes = [
        {"label": "nose" if kind == "point" else "cat", "points": points, "shape_type": kind, "group_id": None}
        for kind, points in kinds.items()
    ]
    shapes[0]["mask"], shapes[1]["group_id"], shapes[-1]["group_id"] = mask, 2, 2
    content = {"imagePath": "1.png", "imageWidth": WIDTH, "imageHeight": HEIGHT, "imageData": None}
    second = {**content, "imagePath": "2.png", "imageData": mask}
    named = {"1": {**content, "shapes": shapes}, "2": {**second, "shapes": shapes[:2]}}
    return {"1.png": png(1), **{f"{name}.json": json.dumps(one).encode() for name, one in named.items()}}


def label_studio_files() -> dict[str, bytes]:
    common = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}
    boxes = [
        {"x": 10.5 * n, "y": 20, "width": 30, "height": 40.5, "rotation": n % 2, "rectanglelabels": ["cat"]}
        for n in range(4)
    ]
    regions = [{**common, "id": f"r{n}", "type": "rectanglelabels", "value": box} for n, box in enumerate(boxes)]
    regions.append({**common, "id": "p", "type": "polygonlabels", "value": {"points": [[1, 2], [3, 4], [5, 6]]}})
    addresses = ("/data/upload/7/0a1b2c3d-1.png", "/data/local-files/?d=set%2F2.png", "https://host/a/3.png?x=1")
    tasks = [
        {"id": 10 + n, "data": {"image": address}, "annotations": [{"result": regions[n:], "was_cancelled": False}]}
        for n, address in enumerate(addresses)
    ]
    return {"a.json": json.dumps(tasks).encode(), **{f"images/{n}.png": png(n) for n in (1, 2, 3)}}


def jde_files() -> dict[str, bytes]:
    return {
        "a.train": b"images/1.png\nimages/2.png\n",
        "labels_with_ids/1.txt": b"0 3 0.5 0.5 0.25 0.5\n1 -1 1.1 0.2 0.3 0.2\n",
        "labels_with_ids/2.txt": b"0 3 0.500000 0.500000 0.300000 0.500000\n",
        "images/1.png": png(1),
        "images/2.png": png(2),
    }


def kitti_files() -> dict[str, bytes]:
    row = "{} 0.30 2 -1.50 {}.00 2.00 30.00 30.00 1.50 1.60 3.90 1.00 2.00 11.00 0.30\n"
    nobody = "DontCare -1 -1 -10 5.00 10.50 25.00 20.00 -1 -1 -1 -1000 -1000 -1000 -10\n"
    camera = "P0: 1 0\nP2: 700 0 32 45 0 700 24 -0.3 0 0 1 0.005\nR0_rect: 1\n"
    files = {"names.txt": b"000001\n000002\n"}
    for number in (1, 2):
        stem = f"{number:06d}"
        files[f"training/label_2/{stem}.txt"] = (row.format("Car", number) + row.format("Van", 9) + nobody).encode()
        files[f"training/calib/{stem}.txt"] = camera.encode()
        files[f"training/image_2/{stem}.png"] = png(number)
    return files


def kitti_video_files() -> dict[str, bytes]:
    one = kitti_files()
    lines = one["training/label_2/000001.txt"].decode().splitlines()
    rows = [
        f"{frame} {-1 if line.startswith('Dont') else number} {line}"
        for frame in (0, 1)
        for number, line in enumerate(lines)
    ]
    return {
        "training/label_02/0001.txt": "\n".join(rows).encode(),
        "training/calib/0001.txt": one["training/calib/000001.txt"],
        **{f"training/image_02/0001/{frame:06d}.png": png(frame) for frame in (0, 1, 2)},
    }


def tfds_row() -> dict:
    boxes = np.array([[0.1, 0.2, 0.5, 0.6], [0.0, 0.5, 1.0, 1.0]], np.float32)
    objects = {"bbox": boxes, "label": np.array([0, 1]), "is_crowd": np.array([False, True])}
    objects |= {"is_difficult": np.array([False, True]), "area": np.array([160.0, 25.0])}
    return {"image": png(), "image/id": 17, "image/filename": b"a.png", "objects": objects}


def read_tfds(row: dict) -> Split:
    layout = tfds.Layout(
        *("image", "objects", "bbox", "label", "is_crowd", "is_difficult", "area", "image/id", "image/filename"),
        ("cat", "dog"),
    )
    return Split(layout.classes, [tfds.to_item(row, layout, 0, "set")])


# Reader: its files, and which of them are annotations; the reader itself, of the folder.
READERS = {
    "coco": (coco_files, ".json", lambda root: coco.read(root / "a.json", root / "images")),
    "coco_videos": (video_files, ".json", lambda root: coco.read(root / "a.json", root / "images")),
    "voc": (voc_files, (".xml", "train.txt"), lambda root: voc.read(root, "train")),
    "yolo": (yolo_files, (".txt", ".yaml"), lambda root: yolo.read(root / "data.yaml")),
    "yolo_list": (yolo_files, (".txt", ".yaml"), lambda root: yolo.read(root / "data.yaml", "val")),
    "yolo_pose": (pose_files, (".txt", ".yaml"), lambda root: yolo.read(root / "data.yaml")),
    "csv": (csv_files, ".csv", lambda root: box_csv.read(root / "a.csv")),
    "labelme": (
        labelme_files,
        ".json",
        lambda root: labelme.read(root, masks=True, skeleton=Skeleton.from_dict({"keypoints": ["nose", "tail"]})),
    ),
    "label_studio": (label_studio_files, ".json", lambda root: label_studio.read(root / "a.json")),
    "jde": (jde_files, (".txt", ".train"), lambda root: jde.read([root / "a.train"], classes=("cat", "dog"))),
    "hoi": (hoi_files, "listed.json", lambda root: hoi_json.read(root / "listed.json", root / "images")),
    "hoi_plain": (hoi_files, "plain.json", lambda root: hoi_plain.read(root / "plain.json", root / "images")),
    "hoi_plain_boxes": (
        hoi_files,
        ("plain.json", "a.json"),
        lambda root: hoi_plain.read(root / "plain.json", root / "images", boxes=root / "a.json"),
    ),
    "hoi_vcoco": (
        hoi_files,
        ("actions.json", "a.json"),
        lambda root: hoi_vcoco.read(root / "actions.json", root / "a.json", root / "images"),
    ),
    "hico": (hico_files, ".mat", lambda root: hoi_hico.read(root / "anno_bbox.mat", root / "images")),
    "kitti_tracking": (kitti_video_files, ".txt", kitti_tracking.read),
    "kitti": (kitti_files, ".txt", lambda root: kitti.read(root, root / "names.txt")),
}


def mutate_bytes(data: bytes, random: np.random.Generator) -> bytes:
    """One to three small changes: words, bytes, lines."""
    for _ in range(random.integers(1, 4)):
        start, stop = sorted(random.integers(0, len(data) + 1, 2).tolist())
        kind = random.integers(8)
        if kind < 4:
            data = replace_word(data, random)
        elif kind == 4:
            data = data[:start] + BYTES[random.integers(len(BYTES))] + data[start:]
        elif kind == 5:
            data = data[:start] + data[min(stop, start + 9) :]
        elif kind == 6:
            data = data[:stop] + data[start : start + 40] + data[stop:]
        else:
            data = data[:start] if random.random() < 0.3 else flip(data, random)
    return data


def replace_word(data: bytes, random: np.random.Generator) -> bytes:
    """Another word, no word, or one word twice, so that columns move."""
    parts = [""]
    for letter in data.decode("latin-1"):
        joined = (letter.isalnum() or letter in "._-") == (parts[-1][-1:].isalnum() or parts[-1][-1:] in "._-")
        parts[-1:] = [parts[-1] + letter] if joined and parts[-1] else [parts[-1], letter]
    words = [place for place, part in enumerate(parts) if part and (part[0].isalnum() or part[0] in "._-")]
    if not words:
        return data
    place = words[random.integers(len(words))]
    given = WORDS[random.integers(len(WORDS))]
    parts[place] = (f"{parts[place]} {parts[place]}", "", given, given, given)[random.integers(5)]
    return "".join(parts).encode("latin-1", "replace")


def flip(data: bytes, random: np.random.Generator) -> bytes:
    changed = bytearray(data)
    for place in random.integers(0, max(len(data), 1), 3) if data else ():
        changed[place] ^= 1 << random.integers(8)
    return bytes(changed)


def mutate_json(data: bytes, random: np.random.Generator) -> bytes:
    """One to three values of any depth replaced, removed or doubled."""
    content = json.loads(data)
    for _ in range(random.integers(1, 4)):
        rows = content.get("annotations") if isinstance(content, dict) else None
        # Rather annotations than ids, whose faults end it all.
        here = rows if isinstance(rows, list) and random.random() < 0.6 else content
        while True:
            keys = list(here) if isinstance(here, dict) else list(range(len(here)))
            if not keys:
                break
            key = keys[random.integers(len(keys))]
            if not isinstance(here[key], dict | list) or random.random() < 0.1:
                if random.random() < 0.15:
                    del here[key]
                else:
                    here[key] = json.loads(json.dumps(VALUES[random.integers(len(VALUES))]))
                break
            here = here[key]
    return json.dumps(content).encode()


def mutate_files(files: dict[str, bytes], suffixes: str | tuple[str, ...], random: np.random.Generator) -> None:
    """Changes one annotation file, or now and then the name or the bytes of any file, in place."""
    if random.random() < 0.1:
        name = list(files)[random.integers(len(files))]
        data = files.pop(name)
        if random.random() < 0.3:
            files[name] = flip(data, random)
        elif random.random() < 0.7:
            new = (b"caf\xe9", "ca\u0301".encode(), b"a b", b"[/red]", b"x" * 200)[random.integers(5)]
            folder, _, last = name.rpartition("/")
            files[f"{folder}/{new.decode('utf-8', 'surrogateescape')}{Path(last).suffix}".lstrip("/")] = data
        return
    named = [name for name in files if name.endswith(suffixes)]
    name = named[random.integers(len(named))]
    change = mutate_json if name.endswith(".json") and random.random() < 0.7 else mutate_bytes
    files[name] = change(files[name], random)


def mutate_row(row: dict, random: np.random.Generator) -> None:
    """Changes values, shapes or types of one to three features, in place."""
    for _ in range(random.integers(1, 4)):
        holder = row if random.random() < 0.4 else row["objects"]
        key = [key for key in holder if key != "objects"][random.integers(len(holder) - (holder is row))]
        value = holder[key]
        if isinstance(value, bytes):
            holder[key] = mutate_bytes(value, random)
        elif isinstance(value, int):
            holder[key] = [-1, 0, 2**63 - 1, -(2**63)][random.integers(4)]
        else:
            value = np.array(value, [np.float32, np.float64, value.dtype][random.integers(3)])
            if random.random() < 0.3:
                value = value[: random.integers(3)] if random.random() < 0.5 else np.concatenate([value, value])
            if value.size and random.random() < 0.9:
                odd = [np.nan, np.inf, -np.inf, 1e30, -1, 2, 1.0005, 1e-9][random.integers(8)]
                with np.errstate(all="ignore"), warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    value.reshape(-1)[random.integers(value.size)] = (
                        odd if value.dtype.kind == "f" else random.choice([-(2**62), -1, 5, 2**62])
                    )
            holder[key] = value


def check(record) -> None:
    """Raises AssertionError where an accepted object is not finite, or outside its bounds."""
    width, height = record.size
    boxes = record.boxes
    assert np.isfinite(boxes).all() and (boxes >= 0).all() and (boxes <= [width, height] * 2).all(), boxes
    assert (boxes[:, 2:] > boxes[:, :2]).all(), boxes
    assert np.isfinite(record.full_boxes).all() and (np.abs(record.full_boxes) <= 1e7).all(), record.full_boxes
    assert np.isfinite(record.area).all() and (record.area > 0).all() and (record.area <= width * height + 1).all()
    rows = record.rows
    numbers = {name: values for name, values in rows.items() if np.asarray(values).dtype != object}
    assert all(np.isfinite(np.asarray(values, float)).all() for values in numbers.values()), rows
    for counts in rows.get("segmentations", ()):
        assert not counts or read_counts(counts).sum() == width * height, counts
    if "keypoints" in rows:
        assert np.isin(rows["keypoint_labels"], (0, 1, 2)).all(), rows
        assert (np.abs(rows["keypoints"]) <= 11 * max(width, height)).all(), rows
    if "pairs" in rows:
        pairs = rows["pairs"]
        assert ((pairs >= (0, -1)) & (pairs < len(boxes))).all() and (pairs[:, 0] != pairs[:, 1]).all(), rows
        assert (rows["verbs"] >= 0).all(), rows
    if "camera" in rows:
        has = rows["has_box3d"]
        assert (np.abs(rows["camera"]) <= 1e7).all() and (np.diag(rows["camera"]) > 0).all(), rows
        assert (rows["truncated"] >= 0).all() and (rows["truncated"] <= 1).all(), rows
        assert np.isin(rows["occluded"], (0, 1, 2, 3)).all(), rows
        assert (np.abs([rows["alphas"], rows["rotations"]]) <= np.pi + 0.011).all(), rows
        assert (rows["dimensions"][has] > 0).all() and (rows["dimensions"] <= 1000).all(), rows
        assert (np.abs(rows["locations"]) <= 10_000).all(), rows


def convert(split: Split, out: Path, skip_bad: bool) -> int:
    """Writes records and reads them again; how many objects were accepted."""
    write_records(
        split.items,
        directory=out,
        name="hostile",
        split="train",
        classes=split.classes,
        properties=split.properties,
        shards=1,
        workers=1,
        skip_bad=skip_bad,
    )
    dataset, count = open_dataset(out), 0
    for shard in dataset.shards:
        for serialized in serialized_records(shard.read_bytes()):
            record = read_record(serialized, dataset.classes, dataset.properties)
            check(record)
            count += len(record.boxes)
    return count


def serialized_records(data: bytes) -> Iterator[bytes]:
    """The records of a shard; `iterate` starts a stream of TensorFlow for each shard, which takes longer."""
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        yield data[12 : 12 + length]
        data = data[16 + length :]


def run(name: str, seed: int, folder: Path) -> int | None:
    """One mutated case; the number of accepted objects, None where it was refused."""
    random = np.random.default_rng([len(name), ord(name[0]), seed])
    out = folder / "out"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)  # NumPy tells so of overflow that nobody looked for
            warnings.simplefilter("ignore", UserWarning)
            if name == "tfds":
                row = tfds_row()
                mutate_row(row, random)
                split = read_tfds(row)
            else:
                make, suffixes, read = READERS[name]
                files = make()
                mutate_files(files, suffixes, random)
                root = folder / "in"
                shutil.rmtree(root, ignore_errors=True)
                for path, data in files.items():
                    (root / path).parent.mkdir(parents=True, exist_ok=True)
                    (root / path).write_bytes(data)
                split = read(root)
            return convert(split, out, skip_bad=bool(random.random() < 0.8))
    except (UsageError, DataError):
        return None


NAMES = (*READERS, "tfds")


@pytest.fixture(autouse=True)
def no_log():
    """Warnings name files whose names are not UTF-8; tests that run in several processes cannot send such a log."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def run_all(cases: int, folder: Path) -> None:
    failures, accepted = [], 0
    for seed in range(cases // len(NAMES)):
        for name in NAMES:
            try:
                accepted += run(name, seed, folder) is not None
            except Exception as error:
                failures.append(f"{name} {seed}: {type(error).__name__}: {str(error)[:300]!a}")
    assert not failures, f"{len(failures)} of {cases}:\n" + "\n".join(failures[:40])
    assert cases / 5 < accepted < cases, "mutations must neither spare nor break all"


def test_some_mutations(tmp_path):
    run_all(75, tmp_path)


@pytest.mark.long
def test_ten_thousand_mutations(tmp_path, most):
    run_all(min(10_000, most), tmp_path)
