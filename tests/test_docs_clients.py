"""The decoders for programs that are not in Python find what the one in NumPy finds."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from centernet_tf.exports.decoder import decode

CLIENTS = Path(__file__).parents[1] / "docs/clients"
VECTORS = json.loads((CLIENTS / "vectors.json").read_text())
BOX = ("top", "left", "bottom", "right")
WITHIN = 3e-6  # vectors.json has six decimals, and programs compute in single or double precision

NODE = """
import {readFileSync} from "node:fs";
import {decode} from "./decoder.mjs";
const cases = JSON.parse(readFileSync("./vectors.json"));
console.log(JSON.stringify(cases.map((one) => decode(one.maps, one,
    {maxObjects: one.max_objects, ltrb: one.ltrb, iouAware: one.iou_aware}))));
"""

KOTLIN = """
fun main() {
    var line = readLine()
    while (line != null) {
        val (h, w, c, most, ltrb, aware) = line.split(" ").map { it.toFloat() }
        val (heatmap, offset, size, iou) = (0..3).map { readLine()!!.trim() }.map { text ->
            if (text == "") FloatArray(0) else text.split(" ").map { it.toFloat() }.toFloatArray() }
        val maps = Maps(heatmap, offset, size, if (iou.isEmpty()) null else iou)
        val found = decode(maps, h.toInt(), w.toInt(), c.toInt(), most.toInt(), ltrb == 1f, aware)
        println(found.joinToString(";") { "${it.top} ${it.left} ${it.bottom} ${it.right} ${it.label} ${it.score}" })
        line = readLine()
    }
}
operator fun <T> List<T>.component6(): T = get(5)
"""


def rows_of(found):
    return np.array([[*(one[name] for name in BOX), one["label"], one["score"]] for one in found])


def test_vectors_are_what_numpy_finds():
    assert len(VECTORS) > 4
    for case in VECTORS:
        shape = (1, case["height"], case["width"], -1)
        maps = {name: np.float32(values).reshape(shape) for name, values in case["maps"].items()}
        options = {name: case[name] for name in ("max_objects", "ltrb", "iou_aware") if name in case}
        boxes, classes, scores, counts = decode(**maps, **options)
        count = int(counts[0])
        assert 0 < count == len(case["found"])
        found = np.concatenate([boxes[0], classes[0, :, None], scores[0, :, None]], axis=-1)[:count]
        np.testing.assert_allclose(found, rows_of(case["found"]), atol=WITHIN, err_msg=case["about"])


@pytest.mark.skipif(not shutil.which("node"), reason="Node runs it")
def test_javascript(tmp_path):
    for name in ("decoder.mjs", "vectors.json"):
        shutil.copy(CLIENTS / name, tmp_path / name)
    (tmp_path / "main.mjs").write_text(NODE)
    done = subprocess.run(["node", "main.mjs"], cwd=tmp_path, capture_output=True, text=True, check=True)
    for case, found in zip(VECTORS, json.loads(done.stdout), strict=True):
        np.testing.assert_allclose(rows_of(found), rows_of(case["found"]), atol=WITHIN, err_msg=case["about"])


@pytest.mark.skipif(not shutil.which("node"), reason="Node runs it")
def test_javascript_tells_a_map_of_another_size(tmp_path):
    call = "decode({heatmap: [0], offset: [0, 0, 0], size: [1, 1]}, {height: 1, width: 1, classes: 1})"
    (tmp_path / "main.mjs").write_text(f'import {{decode}} from "{(CLIENTS / "decoder.mjs").as_uri()}";\n{call};')
    done = subprocess.run(["node", "main.mjs"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode and "RangeError: offset has 3 values, expected 2." in done.stderr


@pytest.mark.long
@pytest.mark.skipif(not (shutil.which("kotlinc") and shutil.which("java")), reason="kotlinc and java run it")
def test_kotlin(tmp_path):
    (tmp_path / "Main.kt").write_text(KOTLIN)
    build = ["kotlinc", str(CLIENTS / "Decoder.kt"), "Main.kt", "-include-runtime", "-d", "main.jar"]
    subprocess.run(build, cwd=tmp_path, check=True, capture_output=True)
    lines = []
    for case in VECTORS:
        told = [case["height"], case["width"], case["classes"], case.get("max_objects", 10)]
        lines.append([*told, int(case.get("ltrb", False)), case.get("iou_aware", 0.0)])
        lines += [case["maps"].get(name, []) for name in ("heatmap", "offset", "size", "iou")]
    text = "".join(" ".join(map(str, line)) + "\n" for line in lines)
    run = ["java", "-jar", "main.jar"]
    done = subprocess.run(run, cwd=tmp_path, input=text, capture_output=True, text=True, check=True)
    for case, line in zip(VECTORS, done.stdout.splitlines(), strict=True):
        found = np.array([one.split() for one in line.split(";")], float)
        np.testing.assert_allclose(found, rows_of(case["found"]), atol=WITHIN, err_msg=case["about"])
