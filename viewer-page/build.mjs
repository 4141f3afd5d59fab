// Bundles NiiVue into the page of `simcrop view`, with the licences of all that went in. Same input, same bytes.
//
// `node build.mjs` after `npm ci`. NiiVue's fonts and pictures are data in its source, it starts no worker, and the one
// reader that brings WebAssembly (Zarr, which the viewer never gives it) is left out, so that the page needs nothing
// from elsewhere and a strict content policy suffices.
import { readFile, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const page = join(here, "..", "src", "simcrop", "viewer", "page");

const withoutZarr = {
  name: "without-zarr",
  setup(build) {
    build.onResolve({ filter: /^zarrita$/ }, () => ({ path: "zarrita", namespace: "left-out" }));
    build.onLoad({ filter: /.*/, namespace: "left-out" }, () => ({
      contents:
        'const absent = () => { throw new Error("Zarr is left out of this bundle"); };\n' +
        "export const open = absent, root = absent, get = absent, FetchStore = absent;",
    }));
  },
};

const result = await build({
  absWorkingDir: here,
  stdin: { contents: 'export { Niivue, NVImage } from "@niivue/niivue";', resolveDir: here },
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  metafile: true,
  outfile: join(page, "niivue.js"),
  plugins: [withoutZarr],
  logLevel: "warning",
});

const packages = new Set();
for (const input of Object.keys(result.metafile.inputs)) {
  const found = input.match(/^(?:.*\/)?node_modules\/((?:@[^/]+\/)?[^/]+)\//);
  if (found) packages.add(found[1]);
}
const texts = await Promise.all([...packages].sort().map(licence));
await writeFile(join(page, "niivue.licenses.txt"), texts.join("\n"));

const [[path, { bytes }]] = Object.entries(result.metafile.outputs);
console.log(`${relative(here, path)}: ${(bytes / 1e6).toFixed(1)} MB of ${[...packages].sort().join(", ")}`);

/** Name, version and licence of a package, with the licence's text where the package carries one. */
async function licence(name) {
  const folder = join(here, "node_modules", name);
  const { version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
  const names = ["LICENSE", "LICENSE.md", "LICENSE.txt", "license", "license.md"];
  for (const file of names) {
    const text = await readFile(join(folder, file), "utf8").catch(() => null);
    if (text) return `${name} ${version} (${license})\n\n${text.trim()}\n`;
  }
  const kept = await readFile(join(here, "licences", `${name.replace("/", "-")}.txt`), "utf8").catch(
    () => null,
  );
  if (!kept) throw new Error(`${name} carries no licence text: put it into licences/`);
  return `${name} ${version} (${license})\n\n${kept.trim()}\n`;
}
