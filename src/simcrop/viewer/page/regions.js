// The way to the regions of a map: largest first, each by a point in the slice that holds most of it. RAS+
// mm, ml.
import * as api from "./api.js";

/** The regions of a layer above its threshold, asked of the server once a threshold. */
export async function regionsOf(layer, answers, heat) {
  if (layer.regions) return layer.regions;
  const { threshold } = layer;
  const { signal } = answers;
  let found;
  try {
    found = await api.regions(layer.map, threshold, signal);
  } catch (problem) {
    if (problem.status !== 404) throw problem;
    const { map } = await answers.of(layer.sentence, { again: true });
    heat.rename(layer.map, map);
    layer.map = map;
    found = await api.regions(map, threshold, signal);
  }
  if (layer.threshold !== threshold) return regionsOf(layer, answers, heat); // it was moved meanwhile
  layer.regions = found.regions;
  return layer.regions;
}

/**
 * Moves to one of the layer's regions: the same again (0), the one after (1) or before (-1). Gives what to
 * say about it.
 */
export function go(layer, by, scan) {
  const { regions } = layer;
  if (!regions.length) return "no region above this threshold";
  layer.region = following(layer.region, by, regions.length);
  const region = regions[layer.region];
  scan.moveTo(region.centre_mm);
  const { number, count } = scan.slice;
  return `region ${layer.region + 1} of ${regions.length}, ${volume(region.ml)}, slice ${number} of ${count}`;
}

/** Of `count` regions the one to go to; -1: none was gone to yet. */
function following(region, by, count) {
  if (region < 0) return by < 0 ? count - 1 : 0;
  return (region + by + count) % count;
}

export const volume = (ml) => (ml < 10 ? `${ml.toFixed(1)} ml` : `${Math.round(ml)} ml`);
