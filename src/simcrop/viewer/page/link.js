// A link that shows the same view again: study key, crosshair in mm, window, view, numbers of chosen report
// sentences.
//
// It stands behind the `#`, which no server sees. No word of a report and no sentence that somebody wrote
// is in it.

const NUMBER = "-?\\d+(?:\\.\\d+)?";
const FORMS = {
  study: /^[0-9a-f]{24}$/,
  at: new RegExp(`^${NUMBER},${NUMBER},${NUMBER}$`),
  window: new RegExp(`^${NUMBER},${NUMBER}$`),
  view: /^(all|axial|coronal|sagittal|solid)$/,
  show: new RegExp(`^\\d+(@${NUMBER})?(,\\d+(@${NUMBER})?)*$`),
  look: /^outline$/,
  fine: /^\d$/,
  truth: /^1$/,
};

const numbers = (words) => words.split(",").map(Number);
const short = (value) => String(Math.round(value * 10) / 10);

/** What a hash says, whatever is not well formed left out. `show`: [{n, threshold or null}]. */
export function readLink(hash) {
  const said = new URLSearchParams(hash.replace(/^#/, ""));
  const kept = Object.fromEntries([...said].filter(([name, words]) => FORMS[name]?.test(words)));
  return {
    study: kept.study ?? null,
    at: kept.at ? numbers(kept.at) : null,
    window: kept.window ? numbers(kept.window) : null,
    view: kept.view ?? null,
    show: (kept.show?.split(",") ?? []).map((one) => {
      const [n, threshold] = one.split("@").map(Number);
      return { n, threshold: threshold ?? null };
    }),
    outline: Boolean(kept.look),
    fine: Number(kept.fine ?? 1),
    truth: Boolean(kept.truth),
  };
}

/**
 * The hash of a view. `layers`: those that are shown; a sentence without a number is somebody's own and
 * stays out.
 */
export function linkOf({ study, at, window, view, layers, outline, fine, truth }) {
  const said = new URLSearchParams({ study });
  if (at) said.set("at", at.map(short).join(","));
  said.set("window", window.join(","));
  said.set("view", view);
  const show = layers
    .filter(({ sentence }) => sentence.n !== null)
    .map(({ sentence, threshold }) =>
      threshold === sentence.answer.threshold ? sentence.n : `${sentence.n}@${threshold.toFixed(4)}`,
    );
  if (show.length) said.set("show", show.join(","));
  if (outline) said.set("look", "outline");
  if (fine > 1) said.set("fine", fine);
  if (truth) said.set("truth", "1");
  return `#${said.toString().replaceAll("%2C", ",").replaceAll("%40", "@")}`;
}
