// The open study: its scan, its sentences with their answers, and what of it is shown. One at a time;
// leaving ends its requests.
import * as api from "./api.js";
import { Answers } from "./answers.js";
import { byId, element, say } from "./element.js";
import { go, regionsOf } from "./regions.js";
import { drawReport, drawScores } from "./report.js";

export class Session extends EventTarget {
  /**
   * Events: `closed` when another study is asked for, `opened` with its key when that is known, `shown` when
   * its scan is there; `changed` when a link to the view would be another. `model`: null or what
   * `/api/about` says of it.
   */
  constructor({ scan, layers, truth, model }) {
    super();
    Object.assign(this, {
      scan,
      layers,
      truth,
      model,
      key: null,
      answers: null,
      there: null,
      sentences: [],
      fine: 1,
      turn: 0, // of what is shown alone or taken away: an answer to an earlier one comes too late
      returning: null, // sentences whose maps are on their way back, finer or not
      leave: new AbortController(),
    });
    layers.addEventListener("changed", () => this.draw());
    layers.addEventListener("look", () => {
      if (scan.open) scan.draw();
      this.changed();
    });
  }

  changed() {
    this.dispatchEvent(new Event("changed"));
  }

  /** Opens a study as a link wants it (`link.js`), at the middle without one. */
  async open(key, wanted = {}) {
    this.leave.abort();
    this.leave = new AbortController();
    const { signal } = this.leave;
    this.close(signal);
    try {
      this.stage("Opening …");
      const study = await api.study(key, signal);
      this.take(key, study, signal);
      this.there = this.showScan(wanted, signal);
      await this.there;
      this.changed();
      await this.ask(wanted, signal);
    } catch (problem) {
      if (problem.name === "AbortError" || signal.aborted) return;
      if (!this.scan.open) this.stage(problem.message, true);
      else say(problem.message, { problem: true });
    }
  }

  /** Takes all of a study away at once: nothing of it may stand beside the name or the report of the next. */
  close(signal) {
    this.key = null;
    this.answers = null;
    this.sentences = [];
    this.returning = null;
    this.clear();
    this.truth.set(null, null, signal);
    this.scan.close();
    byId("study-name").textContent = "No study open";
    byId("study-facts").textContent = "";
    for (const id of ["study-labels", "notes"]) byId(id).replaceChildren();
    byId("similar").hidden = true;
    this.dispatchEvent(new Event("closed"));
  }

  take(key, study, signal) {
    this.key = key;
    this.study = study;
    this.sentences = study.sentences.map((sentence) => ({ ...sentence, id: `r${sentence.n}` }));
    this.listenFor(signal);
    this.truth.set(key, study.truth, signal);
    this.head(study);
    this.draw();
    this.dispatchEvent(new CustomEvent("opened", { detail: key }));
  }

  listenFor(signal) {
    const answers = new Answers(this.key, signal, this.fine);
    this.answers = answers;
    answers.addEventListener("answered", () => {
      if (answers === this.answers) drawScores(byId("sentences"), this.sentences);
    });
    answers.addEventListener("refused", () => {
      if (answers === this.answers) this.draw();
    });
  }

  /** Asks all again with this many passes over shifted grids; what is shown stays shown. */
  async setFine(fine) {
    if (fine === this.fine) return;
    this.fine = fine;
    if (!this.key || !this.model) return;
    const shown = this.returning ?? this.layers.list.map((layer) => layer.sentence);
    this.returning = shown;
    this.answers.leave();
    this.layers.clear();
    for (const sentence of this.sentences) delete sentence.answer;
    this.listenFor(this.leave.signal);
    const { answers } = this;
    this.draw();
    if (this.scan.open) this.stage("Looking more closely", false, true);
    for (const sentence of shown) {
      await this.choose(sentence, { beside: true });
      if (answers !== this.answers) return;
    }
    this.returning = null;
    if (this.scan.open) this.stage("");
    this.changed();
    await answers.all(this.sentences);
  }

  head({ name, split, labels, volume, notes }) {
    byId("study-name").textContent = name;
    const size = `${volume.shape.join(" × ")}, ${millimetres(volume.spacing_mm)}`;
    byId("study-facts").textContent = [split, size].filter(Boolean).join(" · ");
    byId("study-labels").replaceChildren(...labels.map((label) => element("li", { textContent: label })));
    const says = [...notes];
    if (volume.reduced)
      says.push(
        `Shown thinned to ${millimetres(volume.shown_spacing_mm)}; maps and exports lie on the scan itself.`,
      );
    if (!this.sentences.length)
      says.push(
        this.model
          ? "This scan has no report. Write a sentence below to see where it points."
          : "This scan has no report.",
      );
    if (!this.model)
      says.push(
        "No model is loaded, so there are no maps: start with --model to see where a sentence points.",
      );
    byId("notes").replaceChildren(...says.map((words) => element("li", { textContent: words })));
    byId("foot").hidden = !this.model;
  }

  async showScan(wanted, signal) {
    const bytes = await api.bytes(`/api/studies/${this.key}/scan.nii.gz`, {
      signal,
      onprogress: (share) => this.stage(`Reading the scan: ${Math.round(100 * share)} %`),
    });
    if (signal.aborted) return;
    await this.scan.show(bytes, signal);
    if (signal.aborted) return;
    this.stage("");
    if (wanted.at) this.scan.moveTo(wanted.at);
    if (wanted.truth) this.truth.show(true);
    this.dispatchEvent(new Event("shown"));
  }

  /** Features of the scan, then the answers to its report, those that the link shows first. */
  async ask(wanted, signal) {
    if (!this.model) return;
    const { job } = await api.look(this.key, signal);
    if (job) await this.look(job, signal);
    this.stage("");
    for (const { n, threshold } of wanted.show ?? []) {
      if (signal.aborted) return;
      const sentence = this.sentences.find((one) => one.n === n);
      if (sentence) await this.choose(sentence, { beside: true, threshold });
    }
    await this.answers.all(this.sentences);
  }

  /** Until the scan is looked at; one that is left stands in nobody's way. */
  async look(job, signal) {
    const leave = () => api.cancelJob(job);
    signal.addEventListener("abort", leave);
    try {
      await api.jobDone(job, {
        signal,
        onprogress: (state) => this.stage(state.says || "Looking at the scan", false, true),
      });
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }

  /** What stands over the canvas; `corner`: in its corner, where it hides nothing. */
  stage(words, problem = false, corner = false) {
    const place = byId("stage-says");
    place.textContent = words;
    place.classList.toggle("problem", problem);
    place.classList.toggle("corner", corner);
  }

  draw() {
    drawReport(
      byId("sentences"),
      { sentences: this.sentences, layers: this.layers, can: Boolean(this.model) },
      {
        choose: (sentence, how) => this.choose(sentence, how),
        forget: (sentence) => this.layers.hide(sentence),
        go: (layer, by) => this.go(layer, by),
      },
    );
  }

  /** Shows the map of a sentence once the scan is there, or takes it away if it is shown. Moves nothing. */
  async choose(sentence, { beside = false, threshold = null } = {}) {
    if (this.layers.of(sentence)) return this.layers.hide(sentence);
    const turn = beside ? this.turn : ++this.turn;
    const { answers } = this;
    const line = byId("sentences").querySelector(`[data-sentence="${sentence.id}"]`);
    line?.setAttribute("aria-busy", "true");
    try {
      delete sentence.problem;
      const [grid] = await Promise.all([answers.grid(sentence), this.there]);
      if (answers !== this.answers || turn !== this.turn) return null;
      Object.assign(sentence, {
        mark: sentence.mark ?? sentence.answer.mark,
        means: sentence.means ?? sentence.answer.means,
      });
      if (!this.layers.of(sentence)) this.layers.show(sentence, grid, { beside, threshold });
    } catch (problem) {
      if (problem.name === "AbortError") return null;
      sentence.problem = problem.message;
      this.draw();
    } finally {
      line?.removeAttribute("aria-busy");
    }
    return null;
  }

  /** Takes all maps away, those too that are still on their way. */
  clear() {
    this.turn++;
    this.layers.clear();
  }

  /** A sentence that somebody wrote, shown beside what is shown if `beside`. */
  async write(words, beside = false) {
    const text = words.trim();
    if (!text || !this.key) return;
    const same = this.sentences.find((one) => one.section === "own" && one.text === text);
    const sentence = same ?? {
      id: `o${this.sentences.length}`,
      n: null,
      text,
      section: "own",
      mark: null,
      means: null,
    };
    if (!same) this.sentences.push(sentence);
    this.draw();
    if (!this.layers.of(sentence)) await this.choose(sentence, { beside });
    byId("sentences").querySelector(`[data-sentence="${sentence.id}"]`)?.scrollIntoView({ block: "nearest" });
  }

  /** Moves to a region of a layer: the same (0), the next (1), the one before (-1). */
  async go(layer, by) {
    if (!layer) return say("Choose a sentence first");
    try {
      await regionsOf(layer, this.answers, this.scan.heat);
      if (!this.layers.list.includes(layer)) return null; // its map has gone meanwhile
      layer.says = go(layer, by, this.scan);
      this.layers.look();
    } catch (problem) {
      if (problem.name !== "AbortError") say(problem.message, { problem: true });
    }
    return null;
  }
}

const millimetres = (spacing) => `${spacing.map((mm) => Number(mm.toFixed(2))).join(" × ")} mm`;
