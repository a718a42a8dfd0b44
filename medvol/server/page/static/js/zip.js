// SPDX-License-Identifier: Apache-2.0
// A .zip of files without compression, made in the browser: a folder of slices goes as one file.
// Layout after PKWARE's APPNOTE 6.3.10: local headers, central directory, its end.

const MOST_FILES = 65535; // and 4 GB: more needs ZIP64
const MOST_BYTES = 0xffffffff;
const UTF8 = 0x0800;
const VERSION = 20;
const DAY = 0x0021; // 1 January 1980: no time of the file goes with it

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let value = n;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value >>> 0;
});

/**
 * One .zip of several files.
 * @param {Array<{name: string, content: Blob}>} files with their paths inside the .zip.
 * @param {function(number)} heard is told the share that is done, 0 to 1.
 * @returns {Promise<Blob>}
 * @throws {RangeError} more files or bytes than such a .zip can have.
 */
export async function zipOf(files, heard = () => {}) {
  const bytes = files.reduce((sum, file) => sum + file.content.size + 1024, 0);
  if (files.length > MOST_FILES || bytes > MOST_BYTES) throw new RangeError("too large for a .zip");
  const [parts, entries] = [[], []];
  let [at, directory] = [0, 0];
  for (const [done, { name, content }] of files.entries()) {
    const path = new TextEncoder().encode(name);
    const told = common(await checksum(content), content.size, path.length);
    parts.push(numbers([[0x04034b50, 4]]), told, path, content);
    entries.push(
      numbers([[0x02014b50, 4], [VERSION, 2]]), told,
      numbers([[0, 2], [0, 2], [0, 2], [0, 4], [at, 4]]), path,
    );
    at += 30 + path.length + content.size;
    directory += 46 + path.length;
    heard((done + 1) / files.length);
  }
  const end = numbers([
    [0x06054b50, 4], [0, 2], [0, 2], [files.length, 2], [files.length, 2], [directory, 4], [at, 4],
    [0, 2],
  ]);
  return new Blob([...parts, ...entries, end], { type: "application/zip" });
}

/** What a local header and an entry of the directory both say, from the version on. */
function common(crc, bytes, pathBytes) {
  return numbers([
    [VERSION, 2], [UTF8, 2], [0, 2], [0, 2], [DAY, 2], [crc, 4], [bytes, 4], [bytes, 4],
    [pathBytes, 2], [0, 2],
  ]);
}

function numbers(rows) {
  const view = new DataView(new ArrayBuffer(rows.reduce((sum, row) => sum + row[1], 0)));
  let at = 0;
  for (const [value, width] of rows) {
    if (width === 4) view.setUint32(at, value, true);
    else view.setUint16(at, value, true);
    at += width;
  }
  return new Uint8Array(view.buffer);
}

async function checksum(content) {
  let crc = 0xffffffff;
  const reader = content.stream().getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    for (const byte of part.value) crc = TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  }
  return (crc ^ 0xffffffff) >>> 0;
}
