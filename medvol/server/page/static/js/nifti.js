// SPDX-License-Identifier: Apache-2.0
// Whether a NIfTI file is a CT: its first values are looked at, without reading all of it.

const LOOKED_AT_BYTES = 2000000;
const HEADER_BYTES = 348; // of NIfTI-1, whose first number this is
const AIR_HU = -500; // a CT begins in air, of about -1000 HU; MR has no such values
const READERS = { // datatype: bytes of a value, how it is read
  4: [2, "getInt16"], 8: [4, "getInt32"], 16: [4, "getFloat32"], 64: [8, "getFloat64"],
  512: [2, "getUint16"],
};

/** "CT" where the first values of a NIfTI-1 file are in HU as those of air; else "". */
export async function niftiModality(file) {
  try {
    return hasAir(await firstBytes(file)) ? "CT" : "";
  } catch {
    return ""; // cut or damaged: the server says so
  }
}

async function firstBytes(file) {
  const head = new Uint8Array(await file.slice(0, 2).arrayBuffer());
  const isPacked = head[0] === 0x1f && head[1] === 0x8b;
  if (!isPacked) return new Uint8Array(await file.slice(0, LOOKED_AT_BYTES).arrayBuffer());
  const reader = file.stream().pipeThrough(new DecompressionStream("gzip")).getReader();
  const bytes = new Uint8Array(LOOKED_AT_BYTES);
  let filled = 0;
  while (filled < bytes.length) {
    const { done, value } = await reader.read();
    if (done) break;
    const part = value.subarray(0, bytes.length - filled);
    bytes.set(part, filled);
    filled += part.length;
  }
  reader.cancel().catch(() => {});
  return bytes.subarray(0, filled);
}

/** Whether a value below `AIR_HU`, after slope and intercept, is among the first ones. */
export function hasAir(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isLittle = view.getInt32(0, true) === HEADER_BYTES;
  if (!isLittle && view.getInt32(0, false) !== HEADER_BYTES) return false;
  const [width, read] = READERS[view.getInt16(70, isLittle)] ?? [0, ""];
  if (!width) return false;
  const slope = view.getFloat32(112, isLittle) || 1;
  const intercept = view.getFloat32(116, isLittle) || 0;
  const first = Math.max(view.getFloat32(108, isLittle), HEADER_BYTES + 4);
  for (let at = first; at + width <= bytes.length; at += width) {
    if (slope * view[read](at, isLittle) + intercept < AIR_HU) return true;
  }
  return false;
}
