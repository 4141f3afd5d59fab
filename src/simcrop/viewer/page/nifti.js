// A small NIfTI-1 as numbers: similarity maps and truth masks. Voxels `(x, y, z)`, x fastest; affine: voxel
// to RAS+ mm.

const KINDS = {
  2: Uint8Array,
  4: Int16Array,
  8: Int32Array,
  16: Float32Array,
  64: Float64Array,
  256: Int8Array,
  512: Uint16Array,
};

/** `{shape, affine (4 rows), values}` of a gzipped or plain NIfTI-1. */
export async function nifti(bytes) {
  const plain = isGzip(bytes) ? await inflated(bytes) : bytes;
  const head = new DataView(plain);
  if (plain.byteLength < 352 || head.getInt32(0, true) !== 348)
    throw new Error("not a little-endian NIfTI-1");
  const shape = [1, 2, 3].map((axis) => head.getInt16(40 + 2 * axis, true));
  const Kind = KINDS[head.getInt16(70, true)];
  if (!Kind) throw new Error(`NIfTI kind ${head.getInt16(70, true)} is not read here`);
  const from = head.getFloat32(108, true);
  const count = shape[0] * shape[1] * shape[2];
  const values = new Kind(plain.slice(from, from + count * Kind.BYTES_PER_ELEMENT));
  const slope = head.getFloat32(112, true) || 1;
  const inter = head.getFloat32(116, true) || 0;
  return {
    shape,
    affine: affineOf(head),
    values: slope === 1 && inter === 0 ? values : Float32Array.from(values, (v) => v * slope + inter),
  };
}

function affineOf(head) {
  if (head.getInt16(254, true) <= 0) throw new Error("the NIfTI has no sform");
  const rows = [0, 1, 2].map((row) =>
    [0, 1, 2, 3].map((column) => head.getFloat32(280 + 16 * row + 4 * column, true)),
  );
  return [...rows, [0, 0, 0, 1]];
}

function isGzip(bytes) {
  const [first, second] = new Uint8Array(bytes, 0, 2);
  return first === 0x1f && second === 0x8b;
}

async function inflated(bytes) {
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

/** Inverse of an affine of 4 rows. */
export function inverse(m) {
  const [[a, b, c, x], [d, e, f, y], [g, h, i, z]] = m;
  const det = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
  const r = [
    [(e * i - f * h) / det, (c * h - b * i) / det, (b * f - c * e) / det],
    [(f * g - d * i) / det, (a * i - c * g) / det, (c * d - a * f) / det],
    [(d * h - e * g) / det, (b * g - a * h) / det, (a * e - b * d) / det],
  ];
  const moved = r.map((row) => -(row[0] * x + row[1] * y + row[2] * z));
  return [...r.map((row, n) => [...row, moved[n]]), [0, 0, 0, 1]];
}

/** Product of two affines of 4 rows: first `b`, then `a`. */
export const product = (a, b) =>
  a.map((row) => [0, 1, 2, 3].map((n) => row.reduce((sum, value, k) => sum + value * b[k][n], 0)));

/** A point through an affine of 4 rows. */
export const through = (m, [x, y, z]) =>
  m.slice(0, 3).map((row) => row[0] * x + row[1] * y + row[2] * z + row[3]);
