// The report beside the scan: one line a sentence, its mark and score; a chosen line holds what its map can
// do.
import { element, twoDigits } from "./element.js";
import { panel } from "./panel.js";

export const MARKS = {
  affirmed: ["●", "affirmed: said to be there"],
  denied: ["⊘", "denied: said not to be there"],
  normal: ["○", "normal: said to be as it should be"],
};
const SECTIONS = { findings: "Findings", impression: "Impression", own: "Your own sentences" };

/**
 * Draws the lines into `place`. `acts`: choose(sentence, {beside}), forget(sentence) and what `panel`
 * needs.
 */
export function drawReport(place, { sentences, layers, can }, acts) {
  const focus = focused(place);
  place.replaceChildren();
  if (sentences.some((sentence) => sentence.section !== "own")) place.append(legend());
  for (const [section, words] of Object.entries(SECTIONS)) {
    const lines = sentences.filter((sentence) => sentence.section === section);
    if (!lines.length) continue;
    const list = element("ol", { className: "lines", aria: { labelledby: `section-${section}` } });
    list.append(...lines.map((sentence) => line(sentence, layers, can, acts)));
    place.append(element("h3", { id: `section-${section}`, textContent: words }), list);
  }
  if (focus) place.querySelector(`[data-act="${CSS.escape(focus)}"]`)?.focus({ preventScroll: true });
}

const legend = () =>
  element(
    "p",
    { className: "legend small" },
    ...Object.entries(MARKS).map(([mark, [sign, says]]) =>
      element(
        "span",
        { title: says },
        element("span", { className: `mark ${mark}`, textContent: sign, aria: { hidden: "true" } }),
        mark,
      ),
    ),
  );

function line(sentence, layers, can, acts) {
  const layer = layers.of(sentence);
  const item = element("li", {
    className: `sentence ${layer ? "chosen" : ""} ${layer && layer === layers.active ? "active" : ""}`,
  });
  if (layer) item.style.setProperty("--tint", layer.colour);
  const [sign, says] = MARKS[sentence.mark] ?? MARKS.affirmed;
  const known = Boolean(sentence.mark);
  const words = element(
    "button",
    {
      className: "line",
      disabled: !can,
      data: { act: `line-${sentence.id}`, sentence: sentence.id },
      aria: { pressed: String(Boolean(layer)) },
      onclick: (event) => acts.choose(sentence, { beside: event.ctrlKey || event.metaKey || event.shiftKey }),
    },
    element("span", {
      className: `mark ${sentence.mark ?? ""}`,
      title: known ? says : "",
      textContent: known ? sign : "…",
      aria: { hidden: "true" },
    }),
    element(
      "span",
      { className: "text" },
      sentence.text,
      element("span", { className: "unseen", textContent: known ? ` (${sentence.mark})` : "" }),
    ),
    score(sentence, can),
  );
  item.append(words);
  if (can && !layer)
    item.append(
      element("button", {
        className: "beside quiet round",
        textContent: "+",
        title: "Show beside the others (Shift+click)",
        data: { act: `beside-${sentence.id}` },
        aria: { label: `Show beside the others: ${sentence.text}` },
        onclick: () => acts.choose(sentence, { beside: true }),
      }),
    );
  if (sentence.problem)
    item.append(element("p", { className: "problem small", textContent: sentence.problem }));
  if (layer) item.append(panel(layer, layers, acts));
  return item;
}

function score(sentence, can) {
  if (!can) return null;
  const place = element("span", {
    className: "score",
    title: "Score: the greatest similarity of a patch with the sentence",
  });
  return scored(place, sentence);
}

function scored(place, { answer }) {
  place.classList.toggle("waits", !answer);
  place.replaceChildren(
    element("span", { className: "unseen", textContent: answer ? " score " : " no score yet " }),
    answer ? twoDigits(answer.similarity_max) : "–",
  );
  return place;
}

/** Writes scores that have come, and leaves everything else as it is. */
export function drawScores(place, sentences) {
  for (const sentence of sentences) {
    const score = place.querySelector(`[data-sentence="${sentence.id}"] .score`);
    if (score) scored(score, sentence);
  }
}

const focused = (place) =>
  place.contains(document.activeElement) ? document.activeElement.dataset.act : null;
