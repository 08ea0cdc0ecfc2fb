/**
 * Objects from the maps of a file that was exported with --decode none. Copy this file; vectors.json beside it has maps
 * and the objects in them, for a test of your own.
 *
 *     val found = decode(Maps(heatmap, offset, size), height = 128, width = 128, classes = 80)
 */
import kotlin.math.exp
import kotlin.math.max
import kotlin.math.min
import kotlin.math.pow

/**
 * The maps of one image, flat and row by row: the value of row y, column x and channel c is at
 * (y * width + x) * channels + c.
 *
 * @property heatmap A channel for each class, before the sigmoid.
 * @property offset 2 channels: x and y from the cell's corner to the centre, in cells.
 * @property size 2 channels: width and height in cells; 2 for each class; or 4, see `ltrb` of [decode].
 * @property iou 1 channel, before the sigmoid, of models that have it.
 */
class Maps(val heatmap: FloatArray, val offset: FloatArray, val size: FloatArray, val iou: FloatArray? = null)

/** Fractions of the image's height and width within 0..1, the number of the class from 0, and a score in 0..1. */
class Found(
    val top: Float, val left: Float, val bottom: Float, val right: Float, val label: Int, val score: Float
)

private class Peak(val cell: Int, val label: Int, val value: Float)

/**
 * @param height Of the maps, in cells.
 * @param width Of the maps, in cells.
 * @param classes How many the model knows.
 * @param maxObjects Most objects.
 * @param ltrb Whether size is the distance to the left, top, right and bottom edge.
 * @param iouAware The model's setting.
 * @return The objects, the best first.
 */
fun decode(
    maps: Maps, height: Int, width: Int, classes: Int,
    maxObjects: Int = 10, ltrb: Boolean = false, iouAware: Float = 0f
): List<Found> {
    val cells = height * width
    expectLength("heatmap", maps.heatmap, cells * classes)
    expectLength("offset", maps.offset, cells * 2)
    expectLength("size", maps.size, cells * (if (ltrb) 4 else if (maps.size.size == cells * 2) 2 else 2 * classes))
    val iou = maps.iou
    if (iou != null) expectLength("iou", iou, cells)

    // Where the overlap that a box is said to have changes the order, more peaks than will be kept take part.
    var found = peaks(maps.heatmap, height, width, classes)
        .take(if (iou == null) maxObjects else max(maxObjects, 100))
        .map { peak ->
            val score = sigmoid(peak.value)
            if (iou == null) Peak(peak.cell, peak.label, score)
            else Peak(peak.cell, peak.label, score.pow(1 - iouAware) * sigmoid(iou[peak.cell]).pow(iouAware))
        }
    if (iou != null) found = found.sortedByDescending { it.value }
    return found.take(maxObjects).map { peak ->
        val x = peak.cell % width + maps.offset[2 * peak.cell]
        val y = peak.cell / width + maps.offset[2 * peak.cell + 1]
        val (left, top, right, bottom) = edges(maps.size, peak, cells, ltrb)
        Found(
            within((y - top) / height), within((x - left) / width),
            within((y + bottom) / height), within((x + right) / width), peak.label, peak.value
        )
    }
}

/** All cells that no neighbour of their class exceeds, the largest value first; equal ones in the order of the map. */
private fun peaks(heatmap: FloatArray, height: Int, width: Int, classes: Int): List<Peak> {
    val found = ArrayList<Peak>()
    for (y in 0 until height) for (x in 0 until width) for (label in 0 until classes) {
        val value = heatmap[(y * width + x) * classes + label]
        val largest = (max(y - 1, 0)..min(y + 1, height - 1)).all { row ->
            (max(x - 1, 0)..min(x + 1, width - 1)).all { column ->
                value >= heatmap[(row * width + column) * classes + label]
            }
        }
        if (largest) found.add(Peak(y * width + x, label, value))
    }
    return found.sortedByDescending { it.value }
}

/** How far the edges lie from the centre, in cells: left, top, right, bottom. */
private fun edges(size: FloatArray, peak: Peak, cells: Int, ltrb: Boolean): List<Float> {
    if (ltrb) return (0..3).map { size[4 * peak.cell + it] }
    val channels = size.size / cells
    val first = channels * peak.cell + (if (channels > 2) 2 * peak.label else 0)
    val (w, h) = Pair(size[first] / 2, size[first + 1] / 2)
    return listOf(w, h, w, h)
}

private fun expectLength(name: String, map: FloatArray, wanted: Int) =
    require(map.size == wanted) { "$name has ${map.size} values, expected $wanted." }

private fun sigmoid(value: Float) = 1 / (1 + exp(-value))

private fun within(value: Float) = min(max(value, 0f), 1f)
