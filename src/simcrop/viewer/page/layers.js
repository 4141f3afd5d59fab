// The sentences whose maps are shown: a colour, an eye, a threshold and a colour scale each. Values: cosine
// similarity.
import { LAYERS } from "./glsl.js";

// Told apart on grey by eyes that do not tell red from green, too; the letter says it without any colour.
const TINTS = ["#ffb000", "#38c6ff", "#ff6fb1", "#8ee36b", "#b79bff", "#ff7d4d"];

export class Layers extends EventTarget {
  /**
   * Events: `changed` (which are shown, or the active one), `look` (how one is shown). `heat`: what draws
   * them.
   */
  constructor(heat) {
    super();
    this.heat = heat;
    this.list = [];
    this.active = null;
  }

  of(sentence) {
    return this.list.find((layer) => layer.sentence === sentence);
  }

  /**
   * Shows the map of an answered sentence, alone or beside the others; the oldest goes when there are too
   * many.
   */
  show(sentence, grid, { beside = false, threshold = null } = {}) {
    const { map, least, greatest } = sentence.answer;
    if (!beside) this.list = [];
    if (this.list.length === LAYERS) this.list.shift();
    const free = [...TINTS.keys()].find((n) => !this.list.some((layer) => layer.index === n));
    const layer = {
      sentence,
      map,
      grid,
      least,
      greatest,
      index: free,
      letter: "ABCDEF"[free],
      colour: TINTS[free],
      rgb: rgb(TINTS[free]),
      threshold: threshold ?? sentence.answer.threshold,
      scale: [least, greatest],
      shown: true,
      regions: null,
      region: -1,
      says: "",
    };
    this.heat.keep(map, grid, least, greatest);
    this.list.push(layer);
    this.active = layer;
    this.change();
    return layer;
  }

  hide(sentence) {
    const layer = this.of(sentence);
    this.list = this.list.filter((other) => other !== layer);
    if (this.active === layer) this.active = this.list.at(-1) ?? null;
    this.change();
  }

  clear() {
    this.list = [];
    this.active = null;
    this.change();
  }

  activate(layer) {
    this.active = layer;
    this.change();
  }

  change() {
    this.heat.layers = this.list;
    const kept = new Set(this.list.map((layer) => layer.map));
    this.heat.forget([...this.heat.textures.keys()].filter((map) => !kept.has(map)));
    this.dispatchEvent(new Event("changed"));
    this.look();
  }

  look() {
    this.dispatchEvent(new Event("look"));
  }

  eye(layer, shown = !layer.shown) {
    layer.shown = shown;
    this.look();
  }

  /** The threshold of a layer, held to its map's values; its regions are others from then on. */
  setThreshold(layer, value) {
    layer.threshold = Math.min(Math.max(value, layer.least), layer.greatest);
    [layer.regions, layer.region, layer.says] = [null, -1, ""];
    this.look();
  }

  setScale(layer, low, high) {
    if (!(high > low)) return;
    layer.scale = [low, high];
    this.look();
  }
}

const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255);
