// Studies that the model finds like the open one. Similarity: cosine of their vectors.
import * as api from "./api.js";
import { byId, element, say, twoDigits } from "./element.js";

/** Asks for them and shows them under the report. `onopen(key)` opens one. */
export async function showSimilar(key, signal, onopen) {
  const place = byId("similar");
  place.hidden = false;
  const close = element("button", {
    className: "quiet round",
    textContent: "×",
    aria: { label: "Close similar studies" },
    onclick: () => {
      place.hidden = true;
    },
  });
  place.replaceChildren(
    element("div", { className: "row between" }, element("h3", { textContent: "Similar studies" }), close),
    element("p", { className: "small", textContent: "looking …" }),
  );
  place.scrollIntoView({ block: "nearest" });
  try {
    const { studies } = await answered(key, signal, (words) => {
      place.lastChild.textContent = words;
    });
    const rows = studies.map((study) =>
      element(
        "li",
        {},
        element(
          "button",
          { className: "quiet", onclick: () => onopen(study.key) },
          element("span", { className: "score", textContent: twoDigits(study.similarity) }),
          element("strong", { textContent: study.name }),
          element("span", { className: "small", textContent: study.labels.join(", ") }),
        ),
      ),
    );
    place.lastChild.replaceWith(
      rows.length
        ? element("ol", { className: "similar-list" }, ...rows)
        : element("p", { className: "small", textContent: "there is no other study" }),
    );
    place.scrollIntoView({ block: "nearest" });
  } catch (problem) {
    place.hidden = true;
    if (problem.name !== "AbortError") say(problem.message, { problem: true });
  }
}

async function answered(key, signal, says) {
  for (;;) {
    const answer = await api.similar(key, signal);
    if (!answer.job) return answer;
    await api.jobDone(answer.job, {
      signal,
      onprogress: (state) => says(state.says || "looking at the studies"),
    });
  }
}
