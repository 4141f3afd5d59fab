// What leaves the viewer: the picture as drawn with its legend (PNG, px), maps and regions as NIfTI or
// DICOM in a zip.
import * as api from "./api.js";
import { byId, twoDigits } from "./element.js";
import { Work } from "./work.js";

/** `now()`: {key, scan, layers} of the open study. */
export function startExport({ can }, now) {
  const work = new Work("export");
  byId("export-png").addEventListener("click", () => savePicture(now()));
  for (const format of ["nifti", "dicom"]) {
    byId(`export-${format}`).addEventListener("click", async () => {
      const { key, layers, fine } = now();
      if (!layers.length) return work.problem("Choose a sentence first: it is its map that is exported");
      const asked = {
        sentences: layers.map((layer) => layer.sentence.text),
        format,
        fine,
        top_k: null,
        thresholds: layers.map(({ threshold, sentence }) =>
          threshold === sentence.answer.threshold ? null : threshold,
        ),
      };
      const result = await work.run("writing", async () => (await api.exported(key, asked)).job);
      return result && save(result.file, `simcrop-${format}.zip`);
    });
  }
  byId("export-dicom").disabled = !can.dicom;
  if (!can.dicom)
    byId("export-dicom").nextElementSibling.textContent += "; needs the extra dicom where the viewer runs";
}

function save(url, name) {
  const link = document.createElement("a");
  [link.href, link.download] = [url, name];
  link.click();
}

function savePicture({ scan, layers }) {
  const picture = legended(scan.picture(), layers);
  picture.toBlob((blob) => {
    const url = URL.createObjectURL(blob);
    save(url, "simcrop-view.png");
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  });
}

/** The picture with one line under it for each map that is shown. */
function legended(picture, layers) {
  const shown = layers.filter((layer) => layer.shown);
  const size = Math.round(picture.width / 70);
  const made = document.createElement("canvas");
  [made.width, made.height] = [
    picture.width,
    picture.height + (shown.length ? (shown.length + 0.8) * size * 1.7 : 0),
  ];
  const pen = made.getContext("2d");
  pen.fillStyle = "#0b0e12";
  pen.fillRect(0, 0, made.width, made.height);
  pen.drawImage(picture, 0, 0);
  pen.font = `${size}px sans-serif`;
  pen.textBaseline = "middle";
  shown.forEach(({ colour, letter, sentence, threshold }, n) => {
    const y = picture.height + (n + 0.9) * size * 1.7;
    pen.fillStyle = colour;
    pen.fillRect(size, y - size * 0.55, size * 1.1, size * 1.1);
    pen.fillText(letter, size * 2.6, y);
    pen.fillStyle = "#e9e8e4";
    const score = twoDigits(sentence.answer.similarity_max);
    const words = `${sentence.text}  ·  ${sentence.mark}, score ${score}, line at ${twoDigits(threshold)}`;
    pen.fillText(words, size * 4, y, made.width - size * 5);
  });
  return made;
}
