// The controls around the scan: view, window, slice, how maps are shown. HU, mm.
import { byId, choice } from "./element.js";
import { WINDOWS, nameOf } from "./windows.js";

const VIEWS = [
  ["all", "All", "Three planes and 3D"],
  ["axial", "Axial"],
  ["coronal", "Coronal"],
  ["sagittal", "Sagittal"],
  ["solid", "3D", "The body as glass, with the regions in it"],
];
const AXES = ["Sagittal slice", "Coronal slice", "Axial slice"];

export class Controls {
  /** `changed()`: a link to the view would be another now. */
  constructor(scan, layers, changed) {
    Object.assign(this, { scan, layers, changed });
    this.pickView = choice(byId("views"), "view", VIEWS, "all", (view) => this.view(view));
    const presets = Object.entries(WINDOWS).map(([name, { words, hu }], n) => [
      name,
      words,
      `Level ${hu[0]}, width ${hu[1]} HU (${n + 1})`,
    ]);
    this.pickWindow = choice(
      byId("windows"),
      "window",
      [...presets, ["free", "Free", "Level and width as typed, or dragged with the right button (4)"]],
      "lung",
      (name) => this.window(name),
    );
    this.pickStyle = choice(
      byId("styles"),
      "style",
      [
        ["fill", "Fill", "Fill and outline (O)"],
        ["outline", "Outline", "The line at the threshold only (O)"],
      ],
      "fill",
      (style) => this.style(style),
    );
    for (const id of ["level", "width"])
      byId(id).addEventListener("change", () =>
        this.hu([Number(byId("level").value), Math.max(1, Number(byId("width").value))]),
      );
    byId("slice").addEventListener("input", (event) => {
      if (scan.open) scan.setSlice(Number(event.target.value));
    });
    byId("opacity").addEventListener("input", (event) => this.opacity(Number(event.target.value)));
    for (const [start, ends] of [["pointerdown", ["pointerup", "pointerleave", "pointercancel"]]]) {
      byId("hide").addEventListener(start, () => this.hidden(true));
      for (const end of ends) byId("hide").addEventListener(end, () => this.hidden(false));
    }
    byId("hide").addEventListener("keydown", (event) => {
      if (event.key === " " || event.key === "Enter") this.hidden(true);
    });
    byId("hide").addEventListener("keyup", () => this.hidden(false));
    scan.addEventListener("moved", () => this.moved());
    scan.addEventListener("window", () => this.showWindow());
    this.showWindow();
  }

  view(view) {
    this.pickView(view);
    this.scan.setView(view);
    this.changed();
  }

  nextView() {
    const names = VIEWS.map(([name]) => name);
    this.view(names[(names.indexOf(this.scan.view) + 1) % names.length]);
  }

  window(name) {
    if (name !== "free") return this.hu(WINDOWS[name].hu);
    this.pickWindow("free");
    byId("free").hidden = false;
    byId("level").focus();
    return byId("level").select();
  }

  hu(hu) {
    this.scan.setWindow(hu);
    this.showWindow();
  }

  showWindow() {
    const name = nameOf(this.scan.hu);
    this.pickWindow(name);
    byId("free").hidden = name !== "free";
    [byId("level").value, byId("width").value] = this.scan.hu;
    this.changed();
  }

  style(style) {
    this.pickStyle(style);
    this.scan.heat.manner.fill = style === "fill";
    this.layers.look();
  }

  get outline() {
    return !this.scan.heat.manner.fill;
  }

  opacity(percent) {
    byId("opacity").value = percent;
    this.scan.heat.manner.opacity = Number(byId("opacity").value) / 100;
    this.layers.look();
  }

  hidden(yes) {
    const { manner } = this.scan.heat;
    if (manner.shown === !yes) return;
    manner.shown = !yes;
    byId("hide").setAttribute("aria-pressed", String(yes));
    if (this.scan.open) this.scan.draw();
  }

  moved() {
    const { scan } = this;
    if (!scan.open) {
      for (const id of ["slice-number", "where"]) byId(id).textContent = "";
      return;
    }
    const { number, count } = scan.slice;
    Object.assign(byId("slice"), { min: 1, max: count, value: number });
    byId("slice-label").textContent = AXES[scan.axis];
    byId("slice-number").textContent = `${number} of ${count}`;
    const [x, y, z] = scan.at.map((mm) => mm.toFixed(1).replace("-", "−"));
    const hu = String(Math.round(scan.value)).replace("-", "−");
    byId("where").textContent = `x ${x}  y ${y}  z ${z} mm · ${hu} HU`;
    this.changed();
  }
}
