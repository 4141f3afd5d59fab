// The page of `simcrop view`: makes its parts, joins them, opens what the address names.
import * as api from "./api.js";
import { Controls } from "./controls.js";
import { byId, say } from "./element.js";
import { startExport } from "./export.js";
import { drawKeys, listenToKeys } from "./keys.js";
import { Layers } from "./layers.js";
import { linkOf, readLink } from "./link.js";
import { Scan } from "./scan.js";
import { Session } from "./session.js";
import { showSimilar } from "./similar.js";
import { Studies } from "./studies.js";
import { startTheme, switchTheme } from "./theme.js";
import { Truth } from "./truth.js";
import { startUpload } from "./upload.js";

const narrow = matchMedia("(max-width: 1100px)"); // the list lies over the scan then

narrow.addEventListener("change", () => switchList(!narrow.matches));

startTheme();
drawKeys();
start().catch((problem) => {
  byId("stage-says").textContent = problem.message;
  byId("stage-says").classList.add("problem");
});

async function start() {
  const about = await api.about();
  byId("place").textContent = about.name + (about.model ? ` · ${about.model.method}` : " · no model");
  let early = null; // a study chosen before the graphics card is ready
  let open = (key) => {
    early = key;
  };
  const studies = new Studies(about, (key) => open(key));
  const listed = studies.narrow({}); // the list comes while the graphics card gets ready
  const scan = await Scan.on(byId("canvas"));
  const layers = new Layers(scan.heat);
  const truth = new Truth(scan);
  const session = new Session({ scan, layers, truth, model: about.model });
  const remember = rememberer(
    () =>
      linkOf({
        study: session.key,
        at: scan.open ? scan.at : null,
        window: scan.hu,
        view: scan.view,
        layers: layers.list,
        outline: controls.outline,
        fine: session.fine,
        truth: truth.shown,
      }),
    session,
  );
  const controls = new Controls(scan, layers, remember);
  open = (key, wanted) => session.open(key, wanted);
  session.addEventListener("changed", remember);
  session.addEventListener("closed", () => {
    studies.mark(null);
    canLeave(false);
  });
  session.addEventListener("opened", ({ detail }) => {
    studies.mark(detail);
    byId("open-similar").hidden = !about.can.similar;
    if (narrow.matches) switchList(false);
  });
  session.addEventListener("shown", () => canLeave(true));
  const upload = startUpload(about, (key) => {
    studies.narrow({});
    open(key);
  });
  startExport(about, () => ({ key: session.key, scan, layers: layers.list, fine: session.fine }));
  const similar = () => {
    if (!about.can.similar) say("This viewer has no cohort to look for similar studies in");
    else if (session.key) showSimilar(session.key, session.leave.signal, open);
  };
  const passes = Math.max(...(about.model?.fine ?? [1]));
  byId("finer").hidden = passes === 1;
  const finer = (on = session.fine === 1) => {
    byId("finer").setAttribute("aria-pressed", String(on));
    return session.setFine(on ? passes : 1);
  };
  listenToButtons({ session, truth, similar, finer, remember, upload });
  listenToKeys(acts({ session, scan, layers, truth, controls, similar, finer, upload }));

  document.documentElement.dataset.awake = "yes"; // every button and key does something from now on

  const follow = () => {
    const wanted = readLink(location.hash);
    if (wanted.window) controls.hu(wanted.window);
    if (wanted.view) controls.view(wanted.view);
    controls.style(wanted.outline ? "outline" : "fill");
    finer(wanted.fine > 1);
    return wanted.study ? open(wanted.study, wanted) : null;
  };
  addEventListener("hashchange", follow);
  const opening = follow();
  if (early) open(early);
  else if (!opening)
    await listed.then(() =>
      about.studies === 1
        ? byId("study-list").querySelector("button")?.click()
        : session.stage("Choose a study from the list"),
    );
}

/** Whether there is a view that can be exported and linked to. */
function canLeave(yes) {
  for (const id of ["open-export", "copy-link"]) byId(id).disabled = !yes;
}

/** Keeps the address like the view, at most five times a second, once a study is open. */
function rememberer(link, session) {
  let soon = 0;
  return () => {
    clearTimeout(soon);
    soon = setTimeout(() => {
      if (session.key && session.scan.open) history.replaceState(null, "", link());
    }, 200);
  };
}

function listenToButtons({ session, truth, similar, finer, remember, upload }) {
  const click = (id, act) => byId(id).addEventListener("click", act);
  click("list-switch", () => switchList());
  click("theme", switchTheme);
  click("open-help", () => byId("help").showModal());
  click("open-upload", upload);
  click("open-export", () => byId("export").showModal());
  click("copy-link", copyLink);
  click("open-similar", similar);
  click("finer", () => finer());
  click("truth", () => truth.show(!truth.shown).then(remember));
  let beside = false; // Shift is held; a form that is sent does not say so
  for (const kind of ["keydown", "pointerdown"])
    byId("own").addEventListener(kind, (event) => (beside = event.shiftKey), { capture: true });
  byId("own").addEventListener("submit", (event) => {
    event.preventDefault();
    session.write(byId("own-words").value, beside);
    byId("own-words").select();
  });
}

function switchList(open = document.body.classList.contains("no-list")) {
  document.body.classList.toggle("no-list", !open);
  byId("list-switch").setAttribute("aria-expanded", String(open));
}

async function copyLink() {
  try {
    await navigator.clipboard.writeText(location.href);
    say("Link copied: study, place, window and chosen sentences by number; no word of the report");
  } catch {
    say("The browser keeps the clipboard closed: copy the address of the page instead");
  }
}

/** What each key does (`keys.js`). */
function acts({ session, scan, layers, truth, controls, similar, finer, upload }) {
  const lines = () => [...byId("sentences").querySelectorAll(".line")];
  const along = (by) => {
    const all = lines();
    const at = all.findIndex((line) => line.parentElement.contains(document.activeElement));
    all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + by, 0), all.length - 1)]?.focus();
  };
  const focused = () => session.sentences.find((one) => one.id === document.activeElement.dataset?.sentence);
  const onActive = (act) => () => (layers.active ? act(layers.active) : say("Choose a sentence first"));
  const threshold = (by) =>
    onActive((layer) => layers.setThreshold(layer, layer.threshold + by * (layer.greatest - layer.least)));
  const opacity = (by) => () => controls.opacity(Number(byId("opacity").value) + by);
  const whenOpen =
    (act) =>
    (...given) =>
      scan.open ? act(...given) : null;
  return {
    search: () => {
      switchList(true);
      byId("words").focus();
    },
    list: () => switchList(),
    report: () => byId("report").focus(),
    down: () => along(1),
    up: () => along(-1),
    beside: () => {
      const sentence = focused();
      if (sentence) session.choose(sentence, { beside: true });
    },
    write: () => byId("own-words").focus(),
    clear: () => session.clear(),
    centre: () => session.go(layers.active, 0),
    next: () => session.go(layers.active, 1),
    previous: () => session.go(layers.active, -1),
    lower: threshold(-0.02),
    higher: threshold(0.02),
    active: onActive((layer) =>
      layers.activate(layers.list[(layers.list.indexOf(layer) + 1) % layers.list.length]),
    ),
    eye: onActive((layer) => layers.eye(layer)),
    outline: () => controls.style(controls.outline ? "fill" : "outline"),
    hide: () => controls.hidden(true),
    hidden: (yes) => controls.hidden(yes),
    fainter: opacity(-10),
    stronger: opacity(10),
    finer: () => finer(),
    truth: () => truth.show(!truth.shown).then(() => session.changed()),
    lung: () => controls.window("lung"),
    mediastinum: () => controls.window("mediastinum"),
    bone: () => controls.window("bone"),
    free: () => controls.window("free"),
    view: () => controls.nextView(),
    zoom: whenOpen((factor) => scan.zoom(factor)),
    step: whenOpen((right, up) => scan.stepOnScreen(right, up)),
    slice: whenOpen((by) => scan.setSlice(scan.slice.number + by)),
    upload,
    export: () => byId("open-export").click(),
    link: () => byId("copy-link").click(),
    theme: switchTheme,
    similar,
    help: () => byId("help").showModal(),
  };
}
