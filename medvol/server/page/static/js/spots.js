// SPDX-License-Identifier: Apache-2.0
// Where a label is: the slice with most of it, and a voxel in the middle of its largest part there.

/**
 * For each label the voxel to look at: of the slice with most voxels of the label the largest
 * part (voxels that touch by a face), of this the voxel nearest to its middle.
 * @param {ArrayLike<number>} mask values, the first axis runs fastest.
 * @param {number[]} shape (X, Y, Z).
 * @param {number[]} values of the labels.
 * @returns {Map<number, number[]>} value to voxel (x, y, z); a label without voxels is not in it.
 */
export function spotsOf(mask, [width, height, depth], values) {
  const area = width * height;
  const most = new Map(values.map((value) => [value, { count: 0, z: 0 }]));
  for (let z = 0; z < depth; z += 1) {
    const counts = new Map();
    for (let at = z * area; at < (z + 1) * area; at += 1) {
      if (mask[at]) counts.set(mask[at], (counts.get(mask[at]) ?? 0) + 1);
    }
    for (const [value, count] of counts) {
      if (most.has(value) && count > most.get(value).count) most.set(value, { count, z });
    }
  }
  const spots = new Map();
  for (const [value, { count, z }] of most) {
    if (!count) continue;
    const part = largestPart(mask.slice(z * area, (z + 1) * area), width, height, value);
    const [x, y] = middle(part, width);
    spots.set(value, [x, y, z]);
  }
  return spots;
}

/** Places of the largest part of a value in one slice. */
function largestPart(slice, width, height, value) {
  const seen = new Uint8Array(slice.length);
  let largest = [];
  for (let first = 0; first < slice.length; first += 1) {
    if (slice[first] !== value || seen[first]) continue;
    const part = [first];
    seen[first] = 1;
    for (let next = 0; next < part.length; next += 1) {
      for (const at of neighbours(part[next], width, height)) {
        if (slice[at] !== value || seen[at]) continue;
        seen[at] = 1;
        part.push(at);
      }
    }
    if (part.length > largest.length) largest = part;
  }
  return largest;
}

function neighbours(at, width, height) {
  const x = at % width;
  const found = [];
  if (x > 0) found.push(at - 1);
  if (x < width - 1) found.push(at + 1);
  if (at >= width) found.push(at - width);
  if (at < width * (height - 1)) found.push(at + width);
  return found;
}

/** The place nearest to the mean of places. */
function middle(places, width) {
  const xy = places.map((at) => [at % width, Math.floor(at / width)]);
  const mean = [0, 1].map((axis) => xy.reduce((sum, each) => sum + each[axis], 0) / xy.length);
  const far = ([x, y]) => (x - mean[0]) ** 2 + (y - mean[1]) ** 2;
  return xy.reduce((best, each) => (far(each) < far(best) ? each : best));
}
