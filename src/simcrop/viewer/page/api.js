// What the page asks of the server. Every answer is JSON or bytes; a refusal becomes a `Refusal` with one
// clear line.

const MARKED = { "X-Simcrop": "1" };

export class Refusal extends Error {
  constructor(reason, sentence, status = 0) {
    super(sentence);
    this.reason = reason;
    this.status = status;
  }
}

/** The refusal that an answer holds, also where a proxy or a stopped server sent no JSON. */
export async function refusalOf(answer) {
  const said = await answer.json().catch(() => null);
  return new Refusal(
    said?.reason ?? "no-answer",
    said?.sentence ?? `the server answered ${answer.status}`,
    answer.status,
  );
}

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: { ...MARKED, ...options.headers } });
  } catch (problem) {
    if (problem.name === "AbortError") throw problem;
    throw new Refusal("no-server", "the server does not answer: is simcrop view still running?");
  }
  if (!answer.ok) throw await refusalOf(answer);
  return answer;
}

const json = async (path, options) => (await ask(path, options)).json();
const post = (path, body, options = {}) =>
  json(path, {
    ...options,
    method: "POST",
    body: JSON.stringify(body),
    headers: { "Content-Type": "application/json" },
  });

export const about = () => json("/api/about");
export const search = (wanted, signal) => post("/api/search", wanted, { signal });
export const study = (key, signal) => json(`/api/studies/${key}`, { signal });
export const look = (key, signal) => post(`/api/studies/${key}/look`, {}, { signal });
export const maps = (key, asked, signal) => post(`/api/studies/${key}/maps`, asked, { signal });
export const regions = (map, threshold, signal) =>
  json(`/api/maps/${map}/regions?threshold=${threshold}`, { signal });
export const similar = (key, signal) => post(`/api/studies/${key}/similar`, { top: 10 }, { signal });
export const exported = (key, asked) => post(`/api/studies/${key}/export`, asked);
export const openPath = (path, report) => post("/api/open", { path, report });
export const cancelJob = (job) => json(`/api/jobs/${job}`, { method: "DELETE" }).catch(() => null);

/**
 * Bytes of a file of the server; `onprogress` gets the share that has come, where the server says how much
 * it is.
 */
export async function bytes(path, { signal, onprogress } = {}) {
  const answer = await ask(path, { signal });
  const total = Number(answer.headers.get("Content-Length"));
  if (!onprogress || !total) return answer.arrayBuffer();
  const whole = new Uint8Array(total);
  let come = 0;
  for (const reader = answer.body.getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) break;
    if (come + value.length > total)
      return Promise.reject(new Refusal("no-answer", "the server sent more than it said"));
    whole.set(value, come);
    come += value.length;
    onprogress(come / total);
  }
  return whole.buffer.slice(0, come);
}

const wait = (ms) => new Promise((done) => setTimeout(done, ms));

/**
 * The result of a job once it is done; `onprogress` gets each of its states. Its own failure is a
 * `Refusal`.
 */
export async function jobDone(job, { onprogress = () => {}, signal } = {}) {
  for (let pause = 120; ; pause = Math.min(pause * 1.4, 800)) {
    const state = await json(`/api/jobs/${job}`, { signal });
    onprogress(state);
    if (state.state === "done") return state.result;
    if (state.state === "failed") throw new Refusal(state.error.reason, state.error.sentence);
    if (state.state === "cancelled") throw new Refusal("cancelled", "cancelled");
    await wait(pause);
  }
}

/**
 * Sends the files of one scan. `onprogress`: share sent. Gives the job; aborting `signal` stops the
 * sending.
 */
export function upload(files, report, { onprogress, signal }) {
  const form = new FormData();
  for (const file of files) form.append("files", file, file.name);
  if (report) form.append("report", report);
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/api/uploads");
    request.setRequestHeader("X-Simcrop", "1");
    request.responseType = "json";
    request.upload.onprogress = (event) => onprogress(event.loaded / event.total);
    request.onload = () => {
      const said = request.response;
      if (request.status < 300) done(said.job);
      else
        failed(
          new Refusal(
            said?.reason ?? "no-answer",
            said?.sentence ?? `the server answered ${request.status}`,
            request.status,
          ),
        );
    };
    request.onerror = () =>
      failed(new Refusal("no-server", "the sending broke off: the server refused it or has stopped"));
    request.onabort = () => failed(new Refusal("cancelled", "cancelled"));
    signal.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}
