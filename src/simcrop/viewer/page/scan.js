// The scan on the canvas: planes, 3D picture, window, crosshair in RAS+ mm. Knows NiiVue; nothing else does
// but `heat.js`.
import { Niivue, NVImage } from "./niivue.js";
import { Heat } from "./heat.js";
import { touches } from "./touches.js";
import { range, windowOf } from "./windows.js";

export const VIEWS = { all: 3, axial: 0, coronal: 1, sagittal: 2, solid: 4 };
const CROSSHAIR_MM = 0.7;
const DRAG = { contrast: 1, pan: 3, crosshair: 8, windowing: 9 };
const AXIS = { axial: 2, all: 2, solid: 2, coronal: 1, sagittal: 0 };
// Where x, y, z run to the right of the screen, and upwards: the patient's right lies at the left, and in
// the sagittal view the front.
const AXIAL = [
  [-1, 0, 0],
  [0, 1, 0],
];
const SCREEN = {
  all: AXIAL,
  axial: AXIAL,
  solid: AXIAL,
  coronal: [
    [-1, 0, 0],
    [0, 0, 1],
  ],
  sagittal: [
    [0, -1, 0],
    [0, 0, 1],
  ],
};

export class Scan extends EventTarget {
  /** Events: `moved` (crosshair), `window` (the window was dragged). */
  static async on(canvas) {
    const scan = new Scan();
    scan.canvas = canvas;
    scan.niivue = new Niivue({
      backColor: [0.02, 0.024, 0.03, 1],
      crosshairColor: [0.45, 0.78, 1, 0.85],
      crosshairWidth: CROSSHAIR_MM,
      crosshairWidthUnit: "mm",
      crosshairGap: 34,
      fontColor: [0.72, 0.76, 0.8, 1],
      fontMinPx: 11,
      fontSizeScaling: 0.32,
      show3Dcrosshair: false,
      dragAndDropEnabled: false,
      isCornerOrientationText: false,
      multiplanarShowRender: 1,
      multiplanarLayout: 2,
      tileMargin: 2,
      loadingText: "",
      logLevel: "error",
      clipPlaneHotKey: "",
      cycleClipPlaneHotKey: "",
      viewModeHotKey: "",
      isResizeCanvas: true,
      sagittalNoseLeft: true,
      isRadiologicalConvention: true,
      dragMode: DRAG.windowing,
      mouseEventConfig: {
        leftButton: { primary: DRAG.crosshair, withShift: DRAG.pan, withCtrl: DRAG.pan },
        rightButton: DRAG.windowing,
        centerButton: DRAG.pan,
      },
    });
    await scan.niivue.attachToCanvas(canvas, true);
    scan.heat = new Heat(scan.niivue);
    scan.view = "all";
    scan.hu = [-600, 1500];
    scan.niivue.onLocationChange = () => scan.dispatchEvent(new Event("moved"));
    const drag = scan.niivue.windowingHandler.bind(scan.niivue); // it tells nobody
    scan.niivue.windowingHandler = (...way) => {
      drag(...way);
      scan.dragged();
    };
    scan.niivue.resetBriCon = () => {}; // two clicks are no wish for another window
    touches(canvas, scan);
    return scan;
  }

  get open() {
    return this.niivue.volumes.length > 0;
  }

  /** Shows the scan in these bytes (NIfTI, HU), unless it is no longer wanted once it is unpacked. */
  async show(bytes, signal) {
    const { niivue } = this;
    const [cal_min, cal_max] = range(this.hu);
    const image = await NVImage.new(bytes, "scan.nii.gz", "gray", 1, null, cal_min, cal_max);
    if (signal.aborted) return;
    niivue.addVolume(image);
    niivue.scene.pan2Dxyzmm = [0, 0, 0, 1];
    niivue.opts.crosshairWidth = CROSSHAIR_MM;
    niivue.setRenderAzimuthElevation(200, 12);
    niivue.volumes[0].cal_min = cal_min;
    niivue.volumes[0].cal_max = cal_max;
    niivue.updateGLVolume();
    this.moveTo([...niivue.frac2mm([0.5, 0.5, 0.5], 0, true)].slice(0, 3));
  }

  close() {
    for (const image of [...this.niivue.volumes]) this.niivue.removeVolume(image);
    this.heat.forget();
    this.heat.layers = [];
    this.heat.setTruth(null);
    this.draw();
    this.dispatchEvent(new Event("moved"));
  }

  /** Draws once before the browser shows the next picture, however often it is asked until then. */
  draw() {
    this.due ??= requestAnimationFrame(() => {
      this.due = null;
      this.niivue.drawScene();
    });
  }

  setView(view) {
    this.view = view;
    this.niivue.setSliceType(VIEWS[view]);
    this.dispatchEvent(new Event("moved"));
  }

  /** `hu`: level and width. */
  setWindow(hu) {
    this.hu = hu;
    if (!this.open) return;
    const image = this.niivue.volumes[0];
    [image.cal_min, image.cal_max] = range(hu);
    this.niivue.updateGLVolume();
  }

  dragged() {
    if (!this.open) return;
    const { cal_min, cal_max } = this.niivue.volumes[0];
    this.hu = windowOf(cal_min, cal_max);
    this.dispatchEvent(new Event("window"));
  }

  /** The crosshair, RAS+ mm. */
  get at() {
    return [...this.niivue.frac2mm(this.niivue.scene.crosshairPos, 0, true)].slice(0, 3);
  }

  /** Puts the crosshair at a point in RAS+ mm, on the nearest voxel. */
  moveTo(mm) {
    const { niivue } = this;
    const voxel = [...niivue.frac2vox(niivue.mm2frac(mm, 0, true))];
    const last = this.shape.map((size) => size - 1);
    const inside = voxel.slice(0, 3).map((n, axis) => Math.min(Math.max(Math.round(n), 0), last[axis]));
    niivue.scene.crosshairPos = niivue.vox2frac(inside);
    niivue.createOnLocationChange();
    this.draw();
    this.dispatchEvent(new Event("moved"));
  }

  /** Moves by voxels as they lie on the screen: to its right, upwards. */
  stepOnScreen(right, up) {
    const [across, above] = SCREEN[this.view];
    this.step(...across.map((n, axis) => right * n + up * above[axis]));
  }

  /** Moves by whole voxels along x (to the right), y (to the front), z (to the head). */
  step(x, y, z) {
    this.niivue.moveCrosshairInVox(x, y, z);
    this.dispatchEvent(new Event("moved"));
  }

  /** Voxels along x, y, z in RAS+ order. */
  get shape() {
    return this.niivue.volumes[0].dimsRAS.slice(1, 4);
  }

  /** The axis whose slices the slider and the wheel of the keyboard move through: 0 x, 1 y, 2 z. */
  get axis() {
    return AXIS[this.view];
  }

  /** The slice number at the crosshair along that axis, from 1, and how many there are. */
  get slice() {
    const voxel = this.niivue.frac2vox(this.niivue.scene.crosshairPos);
    return { number: Math.round(voxel[this.axis]) + 1, count: this.shape[this.axis] };
  }

  setSlice(number) {
    const by = [0, 0, 0];
    by[this.axis] = number - this.slice.number;
    this.step(...by);
  }

  /** HU at the crosshair. */
  get value() {
    const voxel = [...this.niivue.frac2vox(this.niivue.scene.crosshairPos)].map(Math.round);
    return this.niivue.volumes[0].getValue(voxel[0], voxel[1], voxel[2]);
  }

  /** Larger or smaller by this factor, around the crosshair. */
  zoom(factor) {
    const pan = this.niivue.scene.pan2Dxyzmm;
    const zoom = Math.min(Math.max(pan[3] * factor, 1), 12);
    const centre = this.niivue.frac2mm([0.5, 0.5, 0.5], 0, true);
    const shift = (axis) => (zoom === 1 ? 0 : (centre[axis] - this.at[axis]) * (1 - 1 / zoom));
    this.niivue.scene.pan2Dxyzmm = [shift(0), shift(1), shift(2), zoom];
    this.niivue.opts.crosshairWidth = CROSSHAIR_MM / zoom;
    if (this.niivue.crosshairs3D) this.niivue.crosshairs3D.mm[0] = NaN; // it is made anew then
    this.draw();
  }

  /** The picture as drawn now, as a canvas that can be read. */
  picture() {
    this.niivue.drawScene();
    const copy = document.createElement("canvas");
    [copy.width, copy.height] = [this.canvas.width, this.canvas.height];
    copy.getContext("2d").drawImage(this.canvas, 0, 0);
    return copy;
  }
}
