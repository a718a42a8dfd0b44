// SPDX-License-Identifier: Apache-2.0
// NiiVue with one image and its mask: the only file that knows NiiVue.

import { spotsOf } from "./spots.js";

const NIIVUE = "/page/vendor/niivue.js";
const ORGAN = "123037004"; // SNOMED CT: anatomical structure, which is shown paler than a finding
const PALE = 0.3; // of the opacity of a finding
const PALE_IN_3D = 0.02; // where a ray goes through many voxels of it
const ALWAYS = 1; // 3D beside the three planes
const GRID = 2; // two by two
const FROM_FRONT = [160, 10]; // azimuth and elevation of the view in 3D, degrees
const VIEWS = { planes: 3, axial: 0, coronal: 1, sagittal: 2, volume: 4 };

/** An image with its mask on a canvas. */
export class Scene {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {object[]} labels of the label table: value, name, color, terminology.
   * @param {function(object)} heard is told where the crosshair is: mm, value, label, voxels.
   */
  constructor(canvas, labels, heard) {
    Object.assign(this, { canvas, labels, heard });
    this.hidden = new Set();
    this.opacity = 0.6;
    this.view = "planes";
  }

  /**
   * Load NiiVue, the image and the mask.
   * @param {string} image address.
   * @param {string|null} mask address; null where there is none.
   * @throws {Error} NiiVue is not there, or the browser has no WebGL 2.
   */
  async open(image, mask) {
    const { Niivue } = await import(NIIVUE);
    this.niivue = new Niivue({
      isRadiologicalConvention: true, isSliceMM: true, multiplanarShowRender: ALWAYS,
      multiplanarLayout: GRID, tileMargin: 4,
      dragAndDropEnabled: false, show3Dcrosshair: true, backColor: [0, 0, 0, 1],
      crosshairColor: [0.3, 0.9, 1, 0.6], crosshairWidth: 0.8, loadingText: "", logLevel: "error",
      viewModeHotKey: "", clipPlaneHotKey: "", cycleClipPlaneHotKey: "",
    });
    this.niivue.onLocationChange = (place) => this.heard(this.#told(place));
    await this.niivue.attachToCanvas(this.canvas);
    const volumes = [{ url: image, name: "image.nii.gz" }];
    if (mask) volumes.push({ url: mask, name: "segmentation.nii.gz", opacity: this.opacity });
    await this.niivue.loadVolumes(volumes);
    const [shown, over] = this.niivue.volumes;
    this.auto = [shown.cal_min, shown.cal_max];
    this.spots = over ? this.#spots(over) : new Map();
    const organs = this.labels.filter(isOrgan);
    const findings = this.labels.filter((row) => !isOrgan(row));
    // an opacity is that of a whole volume: an organ that is paler is one of its own
    this.layers = over ? [{ volume: over, labels: organs.length ? organs : findings }] : [];
    if (organs.length && findings.length) {
      const copy = over.clone();
      this.niivue.addVolume(copy);
      this.layers.push({ volume: copy, labels: findings });
    }
    this.niivue.setRenderAzimuthElevation(...FROM_FRONT);
    this.#color();
    this.#blend();
  }

  /** How many slices there are along x, y, z, and at which one the crosshair is. */
  get slices() {
    const counts = this.niivue.volumes[0].dimsRAS.slice(1, 4);
    const at = this.niivue.scene.crosshairPos;
    return counts.map((count, axis) => ({
      count, at: Math.min(count - 1, Math.max(0, Math.floor(at[axis] * count))),
    }));
  }

  /** Move the crosshair to a slice along an axis, 0 to 2. */
  goToSlice(axis, at) {
    const place = [...this.niivue.scene.crosshairPos];
    place[axis] = (at + 0.5) / this.slices[axis].count;
    this.#move(place);
  }

  /** Move the crosshair to a place in mm, RAS; null leaves a coordinate as it is. */
  goTo(mm) {
    const now = this.niivue.frac2mm(this.niivue.scene.crosshairPos);
    this.#move(this.niivue.mm2frac(mm.map((each, axis) => each ?? now[axis])));
  }

  /** Move the crosshair to the largest spot of a label. */
  goToLabel(value) {
    if (this.spots.has(value)) this.goTo(this.spots.get(value));
  }

  /** Grey levels from black to white; null takes those that NiiVue found. */
  setWindow(range) {
    const [volume] = this.niivue.volumes;
    [volume.cal_min, volume.cal_max] = range ?? this.auto;
    this.niivue.updateGLVolume();
  }

  /** How opaque the mask is, 0 to 1. */
  setOpacity(opacity) {
    this.opacity = opacity;
    this.#blend();
  }

  /** Show or hide a label. */
  setLabel(value, isShown) {
    if (isShown) this.hidden.delete(value);
    else this.hidden.add(value);
    this.#color();
  }

  /** Show "planes", "axial", "coronal", "sagittal" or "volume". */
  setView(view) {
    this.view = view;
    this.#blend();
    this.niivue.setSliceType(VIEWS[view]);
  }

  /** Give back what the graphics card holds. */
  close() {
    this.niivue?.cleanup?.();
    this.niivue?.gl?.getExtension("WEBGL_lose_context")?.loseContext();
  }

  #move(place) {
    this.niivue.scene.crosshairPos = place;
    this.niivue.createOnLocationChange();
    this.niivue.drawScene();
  }

  /** Each layer's opacity; in 3D alone the body is not shown, which would hide what lies in it. */
  #blend() {
    const is3d = this.view === "volume";
    this.niivue.setOpacity(0, is3d && this.layers.length ? 0 : 1);
    for (const { volume, labels } of this.layers) {
      const share = this.layers.length > 1 && isOrgan(labels[0]) ? (is3d ? PALE_IN_3D : PALE) : 1;
      this.niivue.setOpacity(this.niivue.volumes.indexOf(volume), share * this.opacity);
    }
  }

  #color() {
    for (const { volume, labels } of this.layers) {
      const rows = [{ value: 0, name: "", color: [0, 0, 0] }, ...this.labels];
      const isShown = (row) => labels.includes(row) && !this.hidden.has(row.value);
      const channel = (index) => rows.map((row) => row.color[index]);
      volume.setColormapLabel({
        R: channel(0), G: channel(1), B: channel(2),
        A: rows.map((row) => (isShown(row) ? 255 : 0)),
        I: rows.map((row) => row.value), labels: rows.map((row) => row.name),
      });
    }
    this.niivue.updateGLVolume();
  }

  #spots(volume) {
    const shape = volume.hdr.dims.slice(1, 4);
    const values = this.labels.map((row) => row.value);
    const found = spotsOf(volume.img, shape, values);
    return new Map([...found].map(([value, voxel]) => [value, toMm(volume.hdr.affine, voxel)]));
  }

  #told({ mm, values }) {
    const [image, mask] = values ?? [];
    const label = this.labels.find((row) => row.value === Math.round(mask?.value ?? 0));
    return { mm: [...mm].slice(0, 3), value: image?.value ?? null, label: label ?? null };
  }
}

function isOrgan(row) {
  return row.terminology?.category?.[1] === ORGAN;
}

function toMm(affine, [x, y, z]) {
  return [0, 1, 2].map((row) =>
    affine[row][0] * x + affine[row][1] * y + affine[row][2] * z + affine[row][3]);
}
