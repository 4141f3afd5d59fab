// The list of studies: words, split and labels narrow it; fifty a page. No study's words ever stand in an
// address.
import * as api from "./api.js";
import { byId, element, say } from "./element.js";

export class Studies {
  /** `onopen(key)` opens a study. */
  constructor({ splits, labels }, onopen) {
    this.onopen = onopen;
    this.wanted = { words: "", split: null, labels: [], page: 0 };
    this.current = null;
    this.coming = null;
    byId("split").append(...splits.map((split) => new Option(split, split)));
    byId("label").append(...labels.map((label) => new Option(label, label)));
    byId("split").closest(".pair").hidden = !splits.length && !labels.length;
    this.listen();
  }

  listen() {
    let soon = 0;
    byId("search").addEventListener("submit", (event) => event.preventDefault());
    byId("words").addEventListener("input", (event) => {
      clearTimeout(soon);
      soon = setTimeout(() => this.narrow({ words: event.target.value }), 180);
    });
    byId("split").addEventListener("change", (event) => this.narrow({ split: event.target.value || null }));
    byId("label").addEventListener("change", (event) => {
      const label = event.target.value;
      event.target.value = "";
      if (label && !this.wanted.labels.includes(label))
        this.narrow({ labels: [...this.wanted.labels, label] });
    });
    byId("page-back").addEventListener("click", () => this.narrow({ page: this.wanted.page - 1 }));
    byId("page-on").addEventListener("click", () => this.narrow({ page: this.wanted.page + 1 }));
    byId("study-list").addEventListener("keydown", (event) => {
      const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!by) return;
      event.preventDefault();
      const buttons = [...byId("study-list").querySelectorAll("button")];
      buttons[buttons.indexOf(document.activeElement) + by]?.focus();
    });
  }

  async narrow(change) {
    this.wanted = { ...this.wanted, page: 0, ...change };
    this.coming?.abort();
    this.coming = new AbortController();
    this.drawLabels();
    try {
      this.draw(await api.search(this.wanted, this.coming.signal));
    } catch (problem) {
      if (problem.name !== "AbortError") say(problem.message, { problem: true });
    }
  }

  draw({ total, page, pages, studies }) {
    byId("found").textContent = total === 1 ? "1 study" : `${total.toLocaleString("en")} studies`;
    byId("study-list").replaceChildren(...studies.map((study) => this.row(study)));
    byId("pager").hidden = pages < 2;
    byId("page-says").textContent = `${page + 1} of ${pages}`;
    byId("page-back").disabled = page === 0;
    byId("page-on").disabled = page + 1 >= pages;
    this.mark(this.current);
  }

  row({ key, name, split, labels, sentences, has_mask, has_report }) {
    const facts = [split, has_report ? `${sentences} sentences` : "no report", has_mask ? "truth" : null]
      .filter(Boolean)
      .join(" · ");
    return element(
      "li",
      {},
      element(
        "button",
        { data: { key }, onclick: () => this.onopen(key) },
        element("strong", { textContent: name }),
        element("span", { className: "small", textContent: facts }),
        labels.length ? element("span", { className: "labels small", textContent: labels.join(", ") }) : null,
      ),
    );
  }

  /** Marks the open study in the list. */
  mark(key) {
    this.current = key;
    for (const button of byId("study-list").querySelectorAll("button")) {
      if (button.dataset.key === key) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
  }

  drawLabels() {
    const { labels } = this.wanted;
    byId("chosen-labels").hidden = !labels.length;
    byId("chosen-labels").replaceChildren(
      ...labels.map((label) =>
        element(
          "li",
          {},
          element("button", {
            textContent: `${label} ×`,
            title: "Take this label away",
            onclick: () => this.narrow({ labels: labels.filter((other) => other !== label) }),
          }),
        ),
      ),
    );
  }
}
