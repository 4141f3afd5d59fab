// Keys for all of it. One table says what each does, for the page and for its help.
import { byId, element } from "./element.js";

/** `acts`: a function for each name in the third column. */
export const KEYS = [
  [
    "Find",
    [
      ["/", "Search the list", "search"],
      ["b", "Show or hide the list", "list"],
      ["r", "To the report", "report"],
    ],
  ],
  [
    "Sentences",
    [
      ["j", "Next sentence", "down"],
      ["k", "Sentence before", "up"],
      ["Enter", "Show its map", null],
      ["a", "Show it beside the others", "beside"],
      ["w", "Write a sentence of your own", "write"],
      ["Escape", "Take all maps away", "clear"],
    ],
  ],
  [
    "Regions",
    [
      ["c", "Centre: the region's largest slice", "centre"],
      ["n", "Next region", "next"],
      ["p", "Region before", "previous"],
      ["[", "Threshold lower", "lower"],
      ["]", "Threshold higher", "higher"],
      ["m", "Next map becomes the active one", "active"],
    ],
  ],
  [
    "How maps look",
    [
      ["e", "Eye: the active map shown or hidden", "eye"],
      ["o", "Fill or outline only", "outline"],
      ["h", "Hold to hide all maps", "hide"],
      ["-", "Opacity lower", "fainter"],
      ["+", "Opacity higher", "stronger"],
      ["f", "Finer: shifted patches averaged", "finer"],
      ["t", "Truth masks", "truth"],
    ],
  ],
  [
    "Scan",
    [
      ["1", "Lung window", "lung"],
      ["2", "Mediastinum", "mediastinum"],
      ["3", "Bone", "bone"],
      ["4", "Free: type level and width", "free"],
      ["v", "Next view: all, axial, coronal, sagittal, 3D", "view"],
      ["← → ↑ ↓", "Crosshair (on the scan)", null],
      ["Page Up / Down", "Slice (on the scan)", null],
      ["z / Z", "Larger / smaller", null],
    ],
  ],
  [
    "Page",
    [
      ["u", "Open a scan", "upload"],
      ["x", "Export", "export"],
      ["l", "Copy a link to this view", "link"],
      ["s", "Similar studies", "similar"],
      ["d", "Light or dark", "theme"],
      ["?", "This help", "help"],
    ],
  ],
];

const NAMES = new Map(
  KEYS.flatMap(([, rows]) => rows.filter(([, , act]) => act).map(([key, , act]) => [key, act])),
);
NAMES.set("=", "stronger");
const TYPED = "input:not([type=range]):not([type=radio]), textarea, select";

/**
 * Calls `acts[name]()` for keys; `acts.hidden(yes)` while H is held; `acts.step(right, up)`, as the screen
 * shows it, and `acts.zoom(factor)` on the scan.
 */
export function listenToKeys(acts) {
  addEventListener(
    "keydown",
    (event) => {
      const dialog = event.target.closest?.("dialog"); // once closed, it keeps the focus for a moment
      if (dialog?.open || event.ctrlKey || event.metaKey || event.altKey) return;
      if (!dialog && event.target.matches?.(TYPED)) {
        if (event.key === "Escape") event.target.blur();
        return;
      }
      const done = onScan(event, acts) || byName(event, acts);
      if (!done) return;
      event.preventDefault();
      event.stopPropagation(); // NiiVue has keys of its own
    },
    { capture: true },
  );
  addEventListener(
    "keyup",
    (event) => {
      if (event.key.toLowerCase() === "h") acts.hidden(false);
    },
    { capture: true },
  );
  addEventListener("blur", () => acts.hidden(false));
}

function byName(event, acts) {
  const name = NAMES.get(event.key) ?? NAMES.get(event.key.toLowerCase());
  if (event.key === "z" || event.key === "Z") return (acts.zoom(event.key === "z" ? 1.25 : 0.8), true);
  if (!name) return event.target.id === "canvas" && event.key.length === 1;
  if (name === "hide") acts.hidden(true);
  else acts[name]();
  return true;
}

function onScan(event, acts) {
  if (event.target.id !== "canvas") return false;
  const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
  if (by) acts.step(...by);
  else if (event.key === "PageUp") acts.slice(1);
  else if (event.key === "PageDown") acts.slice(-1);
  else return false;
  return true;
}

export function drawKeys() {
  byId("help-keys").replaceChildren(
    ...KEYS.map(([head, rows]) =>
      element(
        "section",
        {},
        element("h3", { textContent: head }),
        element(
          "dl",
          {},
          ...rows.flatMap(([key, words]) => [
            element("dt", {}, element("kbd", { textContent: key })),
            element("dd", { textContent: words }),
          ]),
        ),
      ),
    ),
  );
}
