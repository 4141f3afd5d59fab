// Truth masks of a study: their classes, which are shown, and their outlines over the scan.
import * as api from "./api.js";
import { byId, element, say } from "./element.js";
import { nifti } from "./nifti.js";

const TINTS = [
  [1, 1, 1],
  [0.62, 0.95, 1],
  [0.8, 1, 0.62],
  [1, 0.8, 0.95],
  [1, 0.93, 0.55],
  [0.75, 0.75, 1],
];

export class Truth {
  constructor(scan) {
    this.scan = scan;
    this.classes = [];
    this.grid = null;
    this.coming = null;
  }

  /** Takes the classes of a study, none shown yet. `described`: null or {classes: [{value, name}]}. */
  set(key, described, signal) {
    this.classes = (described?.classes ?? [])
      .slice(0, 250)
      .map((one, n) => ({ ...one, rgb: TINTS[n % TINTS.length], shown: true }));
    [this.grid, this.key, this.signal, this.coming] = [null, key, signal, null];
    byId("truth").hidden = !this.classes.length;
    this.show(false);
  }

  get shown() {
    return this.scan.heat.truthShown;
  }

  async show(yes) {
    const shown = yes && this.classes.length > 0;
    byId("truth").setAttribute("aria-pressed", String(shown));
    byId("truth-classes").hidden = !shown;
    if (shown && !this.grid) {
      const { signal } = this;
      try {
        this.coming ??= api.bytes(`/api/studies/${this.key}/truth.nii.gz`, { signal }).then(nifti);
        const grid = await this.coming;
        if (signal.aborted) return null; // it is of a study that was left
        this.grid = grid;
      } catch (problem) {
        if (signal.aborted) return null;
        say(problem.message, { problem: true });
        return this.show(false);
      }
    }
    this.scan.heat.truthShown = shown;
    if (shown) this.draw();
    else if (this.scan.open) this.scan.draw();
    return null;
  }

  draw() {
    this.scan.heat.setTruth(this.grid, this.classes);
    this.scan.draw();
    byId("truth-classes").replaceChildren(
      element("h3", { textContent: "Truth" }),
      element(
        "ul",
        { className: "chips" },
        ...this.classes.map((one) =>
          element(
            "li",
            {},
            element("button", {
              textContent: one.name,
              aria: { pressed: String(one.shown) },
              data: { value: one.value },
              onclick: () => {
                one.shown = !one.shown;
                this.draw();
                byId("truth-classes").querySelector(`[data-value="${one.value}"]`).focus();
              },
            }),
          ),
        ),
      ),
    );
  }
}
