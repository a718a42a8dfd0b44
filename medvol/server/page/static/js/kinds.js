// SPDX-License-Identifier: Apache-2.0
// Which bundles may take a file: guessed from its name and its first bytes; the server decides.

import { niftiModality } from "./nifti.js";

const NIFTI = /\.nii(\.gz)?$/i;
const PICTURE = /\.(png|jpe?g|tiff?|bmp)$/i;
const VOLUME = /\.(nii(\.gz)?|nrrd|nhdr|mha|mhd|mnc|gipl|zip|hdr)$/i;
const HEAD_BYTES = 65536;
export const RADIOGRAPHY = ["CR", "DX", "DR", "RG"]; // as the reader of radiographs has them

/**
 * What a file is.
 * @param {File} file
 * @returns {Promise<{shape: string, modality: string}>} shape "picture", "volume" or ""; modality
 *   as DICOM has it, or "".
 */
export async function kindOf(file) {
  if (PICTURE.test(file.name)) return { shape: "picture", modality: "" };
  if (NIFTI.test(file.name)) return { shape: "volume", modality: await niftiModality(file) };
  if (VOLUME.test(file.name)) return { shape: "volume", modality: "" };
  const modality = dicomModality(new Uint8Array(await file.slice(0, HEAD_BYTES).arrayBuffer()));
  if (!modality) return { shape: "", modality };
  return { shape: RADIOGRAPHY.includes(modality) ? "picture" : "volume", modality };
}

/** The value of (0008,0060) in the first bytes of a DICOM file; "" where there is none. */
export function dicomModality(bytes) {
  for (let at = 132; at + 10 <= bytes.length; at += 2) {
    const isTag = bytes[at] === 8 && !bytes[at + 1] && bytes[at + 2] === 0x60 && !bytes[at + 3];
    if (!isTag) continue;
    const isExplicit = bytes[at + 4] === 0x43 && bytes[at + 5] === 0x53; // "CS"
    const length = bytes[at + (isExplicit ? 6 : 4)];
    const value = String.fromCharCode(...bytes.slice(at + 8, at + 8 + length)).trim();
    if (/^[A-Z]{2,4}$/.test(value)) return value;
  }
  return "";
}

/** Whether a bundle may take a file of a kind. */
export function fits(bundle, kind) {
  const isPicture = bundle.task === "radiographs";
  if (kind.shape && isPicture !== (kind.shape === "picture")) return false;
  return isPicture || !kind.modality || !bundle.modality || bundle.modality === kind.modality;
}

/** Whether a file may be one slice of several: DICOM, or without an end that says what it is. */
export function isSlice(file) {
  return /\.(dcm|dicom|ima)$/i.test(file.name) || !/\.[a-z]{2,5}$/i.test(file.name);
}
