// A scan of one's own: dropped or chosen files and folders, or a path on the server. Bytes as the server's
// limits count.
import * as api from "./api.js";
import { byId } from "./element.js";
import { Work } from "./work.js";

/** `onopen(key)` opens what came of it. Gives what shows the dialog. */
export function startUpload({ can, limits }, onopen) {
  const work = new Work("upload");
  const report = byId("upload-report");
  const open = () => {
    if (byId("upload").open) return;
    report.value = ""; // it was typed for another scan, sent or not
    byId("upload").showModal();
  };
  const done = (result) => {
    if (!result) return;
    byId("upload").close();
    onopen(result.key);
  };
  /** The report; whoever sends a scan sees, and is told, what goes along with it. */
  const typed = (says) => {
    const text = report.value.trim();
    report.closest("details").open ||= Boolean(text);
    if (text) says.push("and the report below");
    return text;
  };
  const send = async (files) => {
    open();
    const refused = refusal(files, limits);
    if (refused) return work.problem(refused);
    const says = [files.length === 1 ? "sending the file" : `sending ${files.length} files`];
    const text = typed(says);
    return done(
      await work.run(says.join(" "), (signal) =>
        api.upload(files, text, {
          signal,
          onprogress: (share) =>
            work.progress(share < 1 ? share : null, share < 1 ? says.join(" ") : "reading"),
        }),
      ),
    );
  };
  for (const id of ["files", "folder"]) {
    byId(id).addEventListener("change", (event) => {
      const files = [...event.target.files];
      event.target.value = "";
      if (files.length) send(files.map(named));
    });
  }
  byId("open-path").hidden = !can.open;
  byId("open-path").addEventListener("submit", async (event) => {
    event.preventDefault();
    const says = ["opening the scan"];
    const text = typed(says);
    const begin = async () => (await api.openPath(byId("path").value, text)).job;
    done(await work.run(says.join(" "), begin));
  });
  byId("choose").hidden = !can.upload;
  listenToDrops(can.upload ? send : () => work.problem("This viewer takes no uploads"));
  return open;
}

/** Why these files are not sent at all, or null. */
function refusal(files, limits) {
  const bytes = files.reduce((sum, file) => sum + file.size, 0);
  if (!files.length) return "There was no file in it";
  if (files.length > limits.files)
    return `${files.length} files are more than ${limits.files}: choose the folder of one series`;
  if (bytes > limits.bytes)
    return `${gigabytes(bytes)} are more than the ${gigabytes(limits.bytes)} that this viewer takes`;
  return bytes === 0 ? "The file is empty" : null;
}

const gigabytes = (bytes) =>
  bytes < 1e9 ? `${Math.ceil(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;

/** A file under its last name only: folders are often called after patients. */
const named = (file) => (file.webkitRelativePath ? new File([file], file.name, { type: file.type }) : file);

function listenToDrops(send) {
  const shade = byId("drop");
  let depth = 0;
  const holdsFiles = (event) => [...event.dataTransfer.types].includes("Files");
  addEventListener("dragenter", (event) => {
    if (holdsFiles(event)) shade.classList.toggle("shown", ++depth > 0);
  });
  addEventListener("dragleave", (event) => {
    if (holdsFiles(event)) shade.classList.toggle("shown", --depth > 0);
  });
  addEventListener("dragover", (event) => {
    if (holdsFiles(event)) event.preventDefault();
  });
  addEventListener("drop", async (event) => {
    if (!holdsFiles(event)) return; // a text, for the field it was dropped on
    event.preventDefault();
    depth = 0;
    shade.classList.remove("shown");
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    const loose = [...event.dataTransfer.files];
    const files = entries.some((entry) => entry.isDirectory)
      ? (await Promise.all(entries.map(filesIn))).flat()
      : loose;
    send(files);
  });
}

/** All files under a dropped entry. */
async function filesIn(entry) {
  if (entry.isFile) return [await new Promise((found, failed) => entry.file(found, failed))];
  const reader = entry.createReader();
  const all = [];
  for (;;) {
    // a reader gives at most a hundred at a time
    const some = await new Promise((found, failed) => reader.readEntries(found, failed));
    if (!some.length) return (await Promise.all(all.map(filesIn))).flat();
    all.push(...some);
  }
}
