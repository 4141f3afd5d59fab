// Similarity maps and truth masks on the graphics card, drawn over NiiVue's slices and in its 3D picture.
//
// A map lies on its own grid of patches with its own affine (voxel to RAS+ mm); values are kept as shares
// of [least, greatest], which half floats hold to 0.05 %.
import { LAYERS, RENDER, RENDER_CORNERS, SLICE } from "./glsl.js";
import { inverse, product } from "./nifti.js";

const FIRST_UNIT = 20; // NiiVue uses the texture units below 12
const TRUTH_UNIT = FIRST_UNIT + LAYERS;
const TRUTH_TINT_UNIT = TRUTH_UNIT + 1;

export class Heat {
  /** `niivue`: attached to its canvas. */
  constructor(niivue) {
    this.niivue = niivue;
    this.gl = niivue.gl;
    this.textures = new Map();
    this.layers = [];
    this.manner = { opacity: 0.55, fill: true, line: 2, shown: true };
    this.truth = null;
    this.truthShown = false;
    this.nothing = texture3D(this.gl, [1, 1, 1], new Float32Array(1));
    this.noTint = tintTexture(this.gl, []);
    this.noTruth = labelTexture(this.gl, [1, 1, 1], new Uint8Array(1));
    niivue.setCustomSliceShader(SLICE);
    const Shader = niivue.renderShader.constructor;
    niivue.renderShader = new Shader(this.gl, RENDER_CORNERS, RENDER);
    for (const shader of [niivue.customSliceShader, niivue.renderShader]) this.join(shader);
  }

  /** Lets each use of a shader hand over the maps, too. */
  join(shader) {
    const { gl } = this;
    gl.useProgram(shader.program);
    const at = (name) => gl.getUniformLocation(shader.program, name);
    gl.uniform1i(at("volume"), 0);
    for (let n = 0; n < LAYERS; n++) gl.uniform1i(at(`heat${n}`), FIRST_UNIT + n);
    gl.uniform1i(at("truth"), TRUTH_UNIT);
    gl.uniform1i(at("truthTint"), TRUTH_TINT_UNIT);
    const places = Object.fromEntries(
      ["place", "level", "tint", "manner", "truthPlace", "truthShown"].map((name) => [name, at(name)]),
    );
    gl.uniform1f(at("coarse"), inSoftware(gl) ? 6 : 2);
    shader.use = () => {
      gl.useProgram(shader.program);
      this.hand(places);
    };
  }

  hand(places) {
    const { gl, manner } = this;
    const place = new Float32Array(16 * LAYERS);
    const level = new Float32Array(4 * LAYERS);
    const tint = new Float32Array(4 * LAYERS);
    for (let n = 0; n < LAYERS; n++) {
      const layer = this.layers[n];
      bind(gl, FIRST_UNIT + n, gl.TEXTURE_3D, layer ? this.textures.get(layer.map) : this.nothing);
      if (!layer) continue;
      place.set(this.toTexture(layer.grid), 16 * n);
      level.set(
        [...[layer.threshold, ...layer.scale].map((value) => share(value, layer)), layer.shown ? 1 : 0],
        4 * n,
      );
      tint.set([...layer.rgb, 1], 4 * n);
    }
    bind(gl, TRUTH_UNIT, gl.TEXTURE_3D, this.truth?.texture ?? this.noTruth);
    bind(gl, TRUTH_TINT_UNIT, gl.TEXTURE_2D, this.truth?.tint ?? this.noTint);
    gl.uniformMatrix4fv(places.place, false, place);
    gl.uniform4fv(places.level, level);
    gl.uniform4fv(places.tint, tint);
    gl.uniform4fv(places.manner, [
      manner.opacity,
      manner.fill ? 1 : 0,
      manner.line * devicePixelRatio,
      manner.shown ? 1 : 0,
    ]);
    gl.uniform1f(places.truthShown, this.truth && this.truthShown ? 1 : 0);
    if (this.truth) gl.uniformMatrix4fv(places.truthPlace, false, this.toTexture(this.truth.grid));
    gl.activeTexture(gl.TEXTURE0);
  }

  /** Column-major 4 x 4: texture coordinates of the scan to those of a grid. */
  toTexture({ shape, affine }) {
    const { niivue } = this;
    const corner = [...niivue.frac2mm([0, 0, 0], 0, true)].slice(0, 3);
    const axes = [
      [1, 0, 0],
      [0, 1, 0],
      [0, 0, 1],
    ].map((unit) => [...niivue.frac2mm(unit, 0, true)].map((mm, n) => mm - corner[n]));
    const toMm = [0, 1, 2].map((row) => [axes[0][row], axes[1][row], axes[2][row], corner[row]]);
    const voxel = product(inverse(affine), [...toMm, [0, 0, 0, 1]]);
    const rows = voxel.map((row, n) =>
      n < 3 ? row.map((value, k) => (value + (k === 3 ? 0.5 : 0)) / shape[n]) : row,
    );
    return [0, 1, 2, 3].flatMap((column) => rows.map((row) => row[column]));
  }

  /** Keeps a map's voxels on the card until `forget`. `map`: its id; `grid`: of `nifti`. */
  keep(map, grid, least, greatest) {
    const shares = Float32Array.from(grid.values, (value) => share(value, { least, greatest }));
    this.textures.set(map, texture3D(this.gl, grid.shape, shares));
  }

  /** The same voxels under another id, which the server gave the map when it made it anew. */
  rename(map, other) {
    if (map === other) return;
    this.textures.set(other, this.textures.get(map));
    this.textures.delete(map);
  }

  forget(maps = [...this.textures.keys()]) {
    for (const map of maps) this.gl.deleteTexture(this.textures.get(map));
    for (const map of maps) this.textures.delete(map);
  }

  /** Truth: a label volume; `classes`: [{value, rgb, shown}], any number of classes below 255. */
  setTruth(grid, classes) {
    if (this.truth) for (const kind of ["texture", "tint"]) this.gl.deleteTexture(this.truth[kind]);
    this.truth = null;
    if (!grid) return;
    const index = new Map(classes.map(({ value }, n) => [value, n + 1]));
    const values = Uint8Array.from(grid.values, (value) => index.get(value) ?? 0);
    this.truth = {
      grid,
      texture: labelTexture(this.gl, grid.shape, values),
      tint: tintTexture(this.gl, classes),
    };
  }
}

const share = (value, { least, greatest }) => (value - least) / Math.max(greatest - least, 1e-9);

/** Whether the processor draws, for want of a graphics card. */
function inSoftware(gl) {
  const names = gl.getExtension("WEBGL_debug_renderer_info");
  return /swiftshader|llvmpipe|software|basic render/i.test(
    names ? gl.getParameter(names.UNMASKED_RENDERER_WEBGL) : "",
  );
}

function bind(gl, unit, kind, texture) {
  gl.activeTexture(gl.TEXTURE0 + unit);
  gl.bindTexture(kind, texture);
}

function made(gl, kind, filter, fill) {
  const texture = gl.createTexture();
  bind(gl, FIRST_UNIT, kind, texture);
  for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T, gl.TEXTURE_WRAP_R])
    gl.texParameteri(kind, side, gl.CLAMP_TO_EDGE);
  gl.texParameteri(kind, gl.TEXTURE_MIN_FILTER, filter);
  gl.texParameteri(kind, gl.TEXTURE_MAG_FILTER, filter);
  gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
  fill();
  gl.activeTexture(gl.TEXTURE0);
  return texture;
}

const texture3D = (gl, [x, y, z], shares) =>
  made(gl, gl.TEXTURE_3D, gl.LINEAR, () =>
    gl.texImage3D(gl.TEXTURE_3D, 0, gl.R16F, x, y, z, 0, gl.RED, gl.FLOAT, shares),
  );

const labelTexture = (gl, [x, y, z], values) =>
  made(gl, gl.TEXTURE_3D, gl.NEAREST, () =>
    gl.texImage3D(gl.TEXTURE_3D, 0, gl.R8, x, y, z, 0, gl.RED, gl.UNSIGNED_BYTE, values),
  );

function tintTexture(gl, classes) {
  const colours = new Uint8Array(4 * 256);
  classes.forEach(({ rgb, shown }, n) =>
    colours.set([...rgb.map((part) => 255 * part), shown ? 255 : 0], 4 * (n + 1)),
  );
  return made(gl, gl.TEXTURE_2D, gl.NEAREST, () =>
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, colours),
  );
}
