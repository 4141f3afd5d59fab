// What can be done with the map of a chosen sentence: eye, way to its regions, threshold on its colour bar,
// colour scale.
import { drawing, element, twoDigits } from "./element.js";

const STEPS = 1000; // of the slider, over the map's values

/** `acts`: go(layer, by), forget(sentence). Redraws itself while its layer's look changes. */
export function panel(layer, layers, acts) {
  const act = (name) => ({ act: `${name}-${layer.sentence.id}` });
  const button = (name, words, title, onclick) =>
    element("button", { className: "quiet", textContent: words, title, data: act(name), onclick });
  const eye = element(
    "button",
    {
      className: "quiet eye",
      title: "Show or hide this map (E)",
      aria: { label: `Map ${layer.letter} is shown` },
      data: act("eye"),
      onclick: () => layers.eye(layer),
    },
    drawing(
      ["M2 12c3-5 6-7 10-7s7 2 10 7c-3 5-6 7-10 7s-7-2-10-7z"],
      ["M12 9a3 3 0 1 0 .01 0z", "pupil"],
      ["M4 20 20 4", "closed"],
    ),
  );
  const says = element("span", { className: "small says", role: "status" });
  const chip = element("span", { className: "chip", textContent: layer.letter, aria: { hidden: "true" } });
  const made = element(
    "div",
    { className: "panel", role: "group", aria: { label: `Map ${layer.letter}` } },
    element(
      "div",
      { className: "row" },
      chip,
      eye,
      button("centre", "Centre", "Move to the region's largest slice (C)", () => acts.go(layer, 0)),
      button("previous", "‹ Previous", "Move to the region before (P)", () => acts.go(layer, -1)),
      button("next", "Next ›", "Move to the next region (N)", () => acts.go(layer, 1)),
      element("button", {
        className: "quiet round away",
        textContent: "×",
        title: "Take the map away (Escape)",
        aria: { label: `Take map ${layer.letter} away` },
        data: act("away"),
        onclick: () => acts.forget(layer.sentence),
      }),
    ),
    bar(layer, layers, act),
    says,
    element("p", {
      className: "means small",
      textContent: layer.sentence.means ?? layer.sentence.answer.means ?? "",
    }),
  );
  // Not before the click is over: what is pressed is drawn anew, and a click on what has gone does nothing.
  made.addEventListener("click", () => {
    if (layers.active !== layer && layers.list.includes(layer)) layers.activate(layer);
  });
  const look = () => {
    eye.setAttribute("aria-pressed", String(layer.shown));
    chip.classList.toggle("off", !layer.shown);
    says.textContent = layer.says;
  };
  look();
  layers.addEventListener("look", function listens() {
    if (made.isConnected) look();
    else layers.removeEventListener("look", listens);
  });
  return made;
}

/**
 * The colour bar with the threshold as a line on it, and the ends of the colour scale, which the threshold
 * leaves alone.
 */
function bar(layer, layers, act) {
  const { least, greatest } = layer;
  const share = (value) => (value - least) / Math.max(greatest - least, 1e-9);
  const slider = element("input", {
    type: "range",
    min: 0,
    max: STEPS,
    data: act("threshold"),
    aria: { label: `Threshold of map ${layer.letter}` },
  });
  slider.addEventListener("input", () =>
    layers.setThreshold(layer, least + ((greatest - least) * slider.value) / STEPS),
  );
  const number = element("output", { className: "value" });
  const ends = [0, 1].map((n) => {
    const input = element("input", {
      type: "number",
      step: 0.01,
      value: twoDigits(layer.scale[n]),
      data: act(`scale${n}`),
      aria: { label: n ? "Brightest colour from" : "Darkest colour up to" },
    });
    input.addEventListener("change", () => {
      const scale = [...layer.scale];
      scale[n] = input.valueAsNumber;
      layers.setScale(layer, ...scale);
      input.value = twoDigits(layer.scale[n]); // what is not taken does not stand there
    });
    return input;
  });
  const colours = element("div", { className: "colours" }, slider);
  const made = element(
    "div",
    { className: "bar" },
    element(
      "div",
      { className: "row between small" },
      element("span", {}, "Threshold ", number),
      element("button", {
        className: "link small",
        textContent: "reset",
        title: "The model's own threshold",
        data: act("reset"),
        onclick: () => layers.setThreshold(layer, layer.sentence.answer.threshold),
      }),
    ),
    colours,
    element(
      "div",
      { className: "row between small ends" },
      ends[0],
      element("span", { textContent: "colour scale" }),
      ends[1],
    ),
  );
  const look = () => {
    const at = share(layer.threshold);
    slider.value = Math.round(at * STEPS);
    slider.setAttribute("aria-valuetext", twoDigits(layer.threshold));
    number.textContent = twoDigits(layer.threshold);
    made.style.setProperty("--at", `${100 * at}%`);
    made.style.setProperty("--low", `${100 * share(layer.scale[0])}%`);
    made.style.setProperty("--high", `${100 * share(layer.scale[1])}%`);
  };
  look();
  layers.addEventListener("look", function listens() {
    if (made.isConnected) look();
    else layers.removeEventListener("look", listens);
  });
  return made;
}
