// Windows of CT in HU: what a radiologist calls them, each as [level, width].

export const WINDOWS = {
  lung: { words: "Lung", hu: [-600, 1500] },
  mediastinum: { words: "Mediastinum", hu: [40, 400] },
  bone: { words: "Bone", hu: [400, 1800] },
};

/** Darkest and brightest HU of a window. */
export const range = ([level, width]) => [level - width / 2, level + width / 2];

/** Level and width between two HU. */
export const windowOf = (low, high) => [Math.round((low + high) / 2), Math.max(1, Math.round(high - low))];

/** The name of the preset with these numbers, or "free". */
export const nameOf = ([level, width]) =>
  Object.entries(WINDOWS).find(([, { hu }]) => hu[0] === level && hu[1] === width)?.[0] ?? "free";
