/**
 * Objects from the maps of a file that was exported with --decode none: for browsers and Node, without dependencies.
 * Copy this file; vectors.json beside it has maps and the objects in them, for a test of your own.
 *
 *   const found = decode({heatmap, offset, size}, {height: 128, width: 128, classes: 80});
 *
 * Maps are those of one image, flat and row by row, as every runtime gives them: the value of row y, column x and
 * channel c is at (y * width + x) * channels + c.
 *
 * @param maps heatmap (classes channels, before the sigmoid); offset (2: x and y from the cell's corner to the centre,
 *     in cells); size (2: width and height in cells; 2 for each class; or 4, see ltrb); and iou (1, before the
 *     sigmoid), of models that have it.
 * @param shape height and width of the maps, and the number of classes.
 * @param options maxObjects: most objects, 10; ltrb: size is the distance to the left, top, right and bottom edge;
 *     iouAware: the model's setting.
 * @returns [{top, left, bottom, right, label, score}], the best first: fractions of the image's height and width within
 *     0..1, the number of the class from 0, and a score in 0..1.
 */
export function decode(maps, shape, {maxObjects = 10, ltrb = false, iouAware = 0} = {}) {
  const {heatmap, offset, size, iou} = maps;
  const {height, width, classes} = shape;
  const cells = height * width;
  expectLength("heatmap", heatmap, cells * classes);
  expectLength("offset", offset, cells * 2);
  expectLength("size", size, cells * (ltrb ? 4 : size.length === cells * 2 ? 2 : 2 * classes));
  if (iou) expectLength("iou", iou, cells);

  // Where the overlap that a box is said to have changes the order, more peaks than will be kept take part.
  let found = peaks(heatmap, shape).slice(0, iou ? Math.max(maxObjects, 100) : maxObjects);
  found = found.map(({cell, label, value}) => {
    let score = sigmoid(value);
    if (iou) score = score ** (1 - iouAware) * sigmoid(iou[cell]) ** iouAware;
    return {cell, label, score};
  });
  if (iou) found.sort((a, b) => b.score - a.score);
  return found.slice(0, maxObjects).map(({cell, label, score}) => {
    const x = (cell % width) + offset[2 * cell];
    const y = Math.floor(cell / width) + offset[2 * cell + 1];
    const [left, top, right, bottom] = edges(size, cell, label, cells, ltrb);
    return {
      top: within((y - top) / height),
      left: within((x - left) / width),
      bottom: within((y + bottom) / height),
      right: within((x + right) / width),
      label,
      score,
    };
  });
}

/** All cells that no neighbour of their class exceeds, the largest value first; equal ones in the order of the map. */
function peaks(heatmap, {height, width, classes}) {
  const found = [];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let label = 0; label < classes; label++) {
        const value = heatmap[(y * width + x) * classes + label];
        let largest = true;
        for (let row = Math.max(y - 1, 0); largest && row <= Math.min(y + 1, height - 1); row++) {
          for (let column = Math.max(x - 1, 0); largest && column <= Math.min(x + 1, width - 1); column++) {
            largest = value >= heatmap[(row * width + column) * classes + label];
          }
        }
        if (largest) found.push({cell: y * width + x, label, value});
      }
    }
  }
  return found.sort((a, b) => b.value - a.value);
}

/** How far the edges lie from the centre, in cells: left, top, right, bottom. */
function edges(size, cell, label, cells, ltrb) {
  if (ltrb) return [0, 1, 2, 3].map((edge) => size[4 * cell + edge]);
  const channels = size.length / cells;
  const first = channels * cell + (channels > 2 ? 2 * label : 0);
  const [w, h] = [size[first] / 2, size[first + 1] / 2];
  return [w, h, w, h];
}

function expectLength(name, map, wanted) {
  if (map.length !== wanted) throw new RangeError(`${name} has ${map.length} values, expected ${wanted}.`);
}

const sigmoid = (value) => 1 / (1 + Math.exp(-value));
const within = (value) => Math.min(Math.max(value, 0), 1);
