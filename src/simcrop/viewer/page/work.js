// One long piece of work in a dialog: its bar, what it says, cancel, and a refusal as one line. Shares in
// [0, 1].
import * as api from "./api.js";
import { byId } from "./element.js";

/** `name`: of the dialog, whose parts are `NAME-progress`, `-bar`, `-says`, `-cancel`, `-problem`. */
export class Work {
  constructor(name) {
    this.part = (end) => byId(`${name}-${end}`);
    this.stop = null;
    this.part("cancel").addEventListener("click", () => this.stop?.abort());
    byId(name).addEventListener("close", () => {
      this.stop?.abort();
      this.problem("");
    });
  }

  get runs() {
    return this.stop !== null;
  }

  progress(share, says) {
    if (share === null) this.part("bar").removeAttribute("value");
    else this.part("bar").value = share;
    this.part("says").textContent = says;
  }

  problem(words) {
    this.part("problem").textContent = words;
    this.part("problem").hidden = !words;
  }

  /**
   * Runs `start(signal)`, which gives a job or the job's result, and follows the job. Null: refused or
   * cancelled.
   */
  async run(says, start) {
    this.stop?.abort();
    const stop = new AbortController();
    this.stop = stop;
    this.problem("");
    this.part("progress").hidden = false;
    this.progress(null, says);
    let job = null;
    stop.signal.addEventListener("abort", () => {
      if (job) api.cancelJob(job);
    });
    try {
      job = await start(stop.signal);
      if (stop.signal.aborted) api.cancelJob(job); // it began while nobody wanted it any more
      return await api.jobDone(job, {
        signal: stop.signal,
        onprogress: ({ state, progress, says: said }) =>
          this.progress(
            state === "waiting" ? null : progress,
            said || (state === "waiting" ? "waiting for its turn" : "working"),
          ),
      });
    } catch (problem) {
      if (problem.name !== "AbortError" && problem.reason !== "cancelled") this.problem(problem.message);
      return null;
    } finally {
      if (this.stop === stop) {
        this.stop = null;
        this.part("progress").hidden = true;
      }
    }
  }
}
