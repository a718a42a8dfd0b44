// SPDX-License-Identifier: Apache-2.0
// The viewer of a volume: planes and 3D, windows, opacity, labels, slices; all by keyboard too.

import { fileAddress } from "./api.js";
import { button, english, freshId, make, refill } from "./dom.js";
import { Scene } from "./scene.js";
import { swatch } from "./tables.js";
import { number, say } from "./words.js";

const AXES = ["sagittal", "coronal", "axial"]; // slices along x, y, z
const VIEWS = ["planes", "axial", "coronal", "sagittal", "volume"];
// level and width in HU, as viewers of CT have them
const WINDOWS_HU = { lung: [-500, 1400], mediastinum: [40, 400], bone: [400, 1800] };
const FIRST_OPACITY = 60; // per cent

/**
 * The viewer of a job's image and mask.
 * @returns {{element: HTMLElement, goTo: function(number[]), leave: function()}}
 */
export function viewerOf(job, bundle) {
  const canvas = make("canvas", { "aria-label": say("viewer.canvas"), role: "img" });
  const frame = make("div", { class: "frame" }, canvas);
  const place = make("output", { class: "quiet place" });
  const controls = make("div", { class: "controls" });
  const wait = make("p", { text: say("viewer.loading"), role: "status" });
  const labels = bundle?.labels ?? [];
  const hasMask = job.files.some((file) => file.name === "segmentation.nii.gz");
  const title = say(hasMask ? "viewer.title" : "viewer.image");
  let follow = () => {};
  const scene = new Scene(canvas, hasMask ? labels : [], (told) => {
    place.textContent = placeWords(told, bundle);
    follow();
  });
  const element = make(
    "section", { class: "viewer", "aria-label": title },
    make("h2", { text: title }), wait, frame, place, controls,
  );
  const goTo = (mm, { scroll = true } = {}) => {
    if (!scene.niivue) return;
    scene.goTo(mm);
    if (scroll) frame.scrollIntoView({ block: "nearest" });
  };

  async function open() {
    const mask = hasMask ? fileAddress(job.id, "segmentation.nii.gz") : null;
    await scene.open(fileAddress(job.id, "image.nii.gz"), mask);
    const sliders = AXES.map((name, axis) => sliceSlider(scene, name, axis));
    follow = () => sliders.forEach((slider) => slider.follow());
    refill(
      controls,
      viewChoice(scene),
      windowChoice(scene, bundle),
      hasMask ? opacitySlider(scene) : null,
      sliders.map((slider) => slider.element),
      hasMask ? labelChoice(scene, frame) : null,
    );
    wait.remove();
    const first = labels.find((row) => scene.spots.has(row.value));
    if (first) scene.goToLabel(first.value);
    follow();
    element.dataset.ready = "true";
  }

  open().catch(() => {
    frame.remove();
    wait.textContent = say("viewer.absent");
    element.dataset.ready = "absent";
  });
  return { element, goTo, leave: () => scene.close() };
}

function placeWords({ mm, value, label }, bundle) {
  const values = {
    x: number(mm[0], 1), y: number(mm[1], 1), z: number(mm[2], 1), value: number(value),
    unit: bundle?.modality === "CT" ? "HU" : "",
  };
  const words = say("viewer.place", values);
  return label ? `${words} · ${label.name}` : words;
}

function viewChoice(scene) {
  const id = freshId();
  const options = VIEWS.map((name) => make("option", { value: name, text: say(`view.${name}`) }));
  const choice = make("select", {
    id, on: { change: () => scene.setView(choice.value) },
  }, options);
  return control(id, say("viewer.view"), choice);
}

/** Windows of CT by name; the bundle's own first. MR has none but what its values give. */
function windowChoice(scene, bundle) {
  const id = freshId();
  const isCt = bundle?.modality === "CT";
  const ranges = new Map();
  if (isCt && bundle.display_window_hu) ranges.set(say("window.bundle"), bundle.display_window_hu);
  for (const [name, [level, width]] of Object.entries(isCt ? WINDOWS_HU : {})) {
    ranges.set(`${say(`window.${name}`)} ${width}/${level}`, [level - width / 2, level + width / 2]);
  }
  ranges.set(say("window.auto"), null);
  const names = [...ranges.keys()];
  const choice = make(
    "select", { id, on: { change: () => scene.setWindow(ranges.get(choice.value)) } },
    names.map((name) => make("option", { value: name, text: name })),
  );
  scene.setWindow(ranges.get(names[0]));
  return control(id, say("viewer.window"), choice);
}

function opacitySlider(scene) {
  const id = freshId();
  const told = make("output", { for: id });
  const range = make("input", {
    type: "range", id, min: "0", max: "100", step: "5", value: String(FIRST_OPACITY),
  });
  const tell = () => {
    told.textContent = `${range.value} %`;
    scene.setOpacity(Number(range.value) / 100);
  };
  range.addEventListener("input", tell);
  tell();
  return control(id, say("viewer.opacity"), range, told);
}

function sliceSlider(scene, name, axis) {
  const id = freshId();
  const told = make("output", { for: id });
  const range = make("input", { type: "range", id, min: "0" });
  range.addEventListener("input", () => scene.goToSlice(axis, Number(range.value)));
  const follow = () => {
    const { at, count } = scene.slices[axis];
    range.max = String(count - 1);
    range.value = String(at);
    told.textContent = say("job.of", { done: number(at + 1), total: number(count) });
  };
  return { element: control(id, say(`slice.${name}`), range, told), follow };
}

/** Each label: shown or not, its colour and name, and where most of it is. */
function labelChoice(scene, frame) {
  const rows = scene.labels.map((row) => {
    const id = freshId();
    const box = make("input", {
      type: "checkbox", id, checked: true,
      on: { change: () => scene.setLabel(row.value, box.checked) },
    });
    const show = button(say("viewer.show"), () => {
      scene.goToLabel(row.value);
      frame.scrollIntoView({ block: "nearest" });
    }, { "aria-label": say("viewer.show_label", { name: row.name }) });
    show.disabled = !scene.spots.has(row.value);
    const label = make("label", { for: id }, swatch(row.color), english(row.name));
    return make("li", {}, box, label, show);
  });
  return make(
    "fieldset", { class: "labels" },
    make("legend", { text: say("viewer.labels") }), make("ul", {}, rows),
  );
}

function control(id, words, ...parts) {
  return make("div", { class: "control" }, make("label", { for: id, text: words }), parts);
}
