// What the model says to the sentences of the open study: one answer a sentence, asked once, and its map as
// numbers.
import * as api from "./api.js";
import { nifti } from "./nifti.js";

// Sentences a request: the first scores come soon, and a click need not wait for the rest.
const AT_ONCE = 8;
const UNUSABLE = 422; // the status of a sentence that is refused

export class Answers extends EventTarget {
  /**
   * Events: `answered` when sentences have their `answer`, `refused` when some have a `problem` instead.
   * `fine`: shifted passes. Nothing comes any more once `signal` says so, or after `leave`.
   */
  constructor(key, signal, fine = 1) {
    super();
    const own = new AbortController();
    this.leave = () => own.abort();
    signal.addEventListener("abort", this.leave);
    this.fine = fine;
    this.key = key;
    this.signal = own.signal;
    this.asked = new Map();
    this.grids = new Map();
  }

  /** Asks for all of these, in portions, until done or left. */
  async all(sentences) {
    for (let from = 0; from < sentences.length; from += AT_ONCE) {
      const portion = sentences
        .slice(from, from + AT_ONCE)
        .filter((sentence) => !this.asked.has(sentence.text));
      if (portion.length) await this.ask(portion).catch(() => null);
      if (this.signal.aborted) return;
    }
    await Promise.allSettled(this.asked.values());
    if (!this.signal.aborted) this.share(sentences);
  }

  /** A sentence that stands in the report twice was asked once. */
  share(sentences) {
    const said = new Map(sentences.filter(({ answer }) => answer).map(({ text, answer }) => [text, answer]));
    for (const sentence of sentences) sentence.answer ??= said.get(sentence.text);
    this.dispatchEvent(new Event("answered"));
  }

  ask(sentences) {
    const texts = [...new Set(sentences.map((sentence) => sentence.text))];
    const coming = this.answered(texts, sentences);
    for (const text of texts) this.asked.set(text, coming);
    return coming;
  }

  async answered(texts, sentences) {
    try {
      const { maps } = await api.maps(
        this.key,
        { sentences: texts, fine: this.fine, top_k: null },
        this.signal,
      );
      this.signal.throwIfAborted(); // the sentences may have other answers by now
      for (const sentence of sentences) sentence.answer = maps[texts.indexOf(sentence.text)];
      this.dispatchEvent(new Event("answered"));
    } catch (problem) {
      for (const text of texts) this.asked.delete(text);
      if (this.signal.aborted) throw problem;
      if (problem.status === UNUSABLE && texts.length > 1) return this.oneByOne(texts, sentences);
      for (const sentence of sentences) sentence.problem = problem.message;
      this.dispatchEvent(new Event("refused"));
      throw problem;
    }
    return null;
  }

  /** One sentence that cannot be asked, for its length, must not cost its neighbours their answers. */
  async oneByOne(texts, sentences) {
    for (const text of texts)
      await this.ask(sentences.filter((sentence) => sentence.text === text)).catch(() => null);
  }

  /** The answer to one sentence, asked now if it was not, or again if the server has forgotten its map. */
  async of(sentence, { again = false } = {}) {
    if (again) this.asked.delete(sentence.text);
    await (this.asked.get(sentence.text) ?? this.ask([sentence]));
    if (!sentence.answer) await this.ask([sentence]);
    return sentence.answer;
  }

  /** The map of a sentence on its own grid. */
  async grid(sentence) {
    const { map } = await this.of(sentence);
    if (!this.grids.has(map)) this.grids.set(map, nifti(await this.bytesOf(map, sentence)));
    return this.grids.get(map);
  }

  async bytesOf(map, sentence) {
    try {
      return await api.bytes(`/api/maps/${map}.nii.gz`, { signal: this.signal });
    } catch (problem) {
      if (problem.status !== 404) throw problem;
      const { map: fresh } = await this.of(sentence, { again: true });
      return api.bytes(`/api/maps/${fresh}.nii.gz`, { signal: this.signal });
    }
  }
}
