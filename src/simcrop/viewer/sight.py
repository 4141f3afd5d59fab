"""What the model sees in the scans that are shown: features of scans and of sentences once each, maps from both.

Axes: s sentence, n cell of a map (gx slowest), e features shared with texts; maps `(gx, gy, gz)`, boxes in RAS+ mm.
"""

import hmac
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from simcrop.data.writers.nifti import nifti_bytes
from simcrop.errors import SimcropError
from simcrop.model import Model, Seen
from simcrop.model.heat import HeatMaps, Nearest, TopK, looks_along
from simcrop.model.seen import Looking
from simcrop.viewer.catalogue import KEY, Entry
from simcrop.viewer.kept import Kept
from simcrop.viewer.limits import Limits
from simcrop.viewer.refusals import not_found
from simcrop.viewer.shown import Scans

FINE = (1, 8)


@dataclass(frozen=True, eq=False)
class SeenMap:
    """One sentence in one scan, that of the study with the key `study`: `values` per cell, `inside`: where the scan is,
    `affine`: cell index -> RAS+ mm.
    """

    id: str
    study: str
    values: np.ndarray
    inside: np.ndarray
    affine: np.ndarray
    nearest: Nearest

    @property
    def least(self) -> float:
        return float(self.values[self.inside].min())

    @property
    def greatest(self) -> float:
        return float(self.values[self.inside].max())

    @property
    def threshold(self) -> float:
        """The similarity of the last box."""
        return float(self.nearest.scores[-1])

    @cached_property
    def content(self) -> bytes:
        """As NIfTI; a cell beside the scan has the least value of those in it."""
        filled = np.where(self.inside, self.values, np.float32(self.least))
        return nifti_bytes(filled, self.affine, (self.least, self.greatest))

    @property
    def size(self) -> int:
        return 2 * self.values.nbytes + self.inside.nbytes + self.nearest.boxes_mm.nbytes + 4096


class Sight:
    """A model that looks at the scans of the viewer. `digest`: of the model."""

    def __init__(self, model: Model, digest: str, path: str, scans: Scans, limits: Limits) -> None:
        self.model, self.digest, self.path, self.scans = model, digest, path, scans
        self.seen = Kept[Seen](limits.features, size_of)
        self.texts = Kept[Tensor](limits.texts, lambda _: 1)
        self.found = Kept[SeenMap](limits.maps, lambda one: one.size)
        self.secret = secrets.token_bytes(32)  # an id must not say which sentence it is of

    @property
    def reads(self) -> bool:
        """Whether it knows sentences at all."""
        try:
            return bool(self.model.reader)
        except SimcropError:
            return False

    @property
    def fine(self) -> list[int]:
        """Looks that can be averaged."""
        return [looks for looks in FINE if can_look(looks, self.model)]

    def is_kept(self, entry: Entry) -> bool:
        return self.seen.find(entry.key) is not None

    def look(self, entry: Entry) -> Seen:
        """The scan, encoded once as long as there is room."""
        return self.seen.get(entry.key, lambda: self.looked(entry))

    def looked(self, entry: Entry) -> Seen:
        seen = self.model.look(self.scans.volume(entry))
        _ = seen.regions if self.reads else seen.features
        return seen

    def encode(self, sentences: Sequence[str]) -> Tensor:
        """`(s, e)`; each sentence is encoded when it is first asked for, alone, so that company changes nothing."""
        return torch.stack(
            [self.texts.get(text, lambda t=text: self.model.encode([t])[0]) for text in sentences]
        )

    def look_for(self, entry: Entry, sentences: Sequence[str], top_k: TopK, fine: int) -> HeatMaps:
        _ = self.model.reader
        looks_along(fine, self.model.grid.patch)
        return self.look(entry).look_for(sentences, top_k, fine, self.encode(sentences))

    def known(self, entry: Entry, sentences: Sequence[str], top_k: TopK, fine: int) -> list[SeenMap] | None:
        """Maps that were all made before; they need not wait."""
        found = [self.found.find(self.id_of(entry.key, text, str(top_k), str(fine))) for text in sentences]
        known = [one for one in found if one is not None]
        return known if len(known) == len(found) else None

    def maps(self, entry: Entry, sentences: Sequence[str], top_k: TopK, fine: int) -> list[SeenMap]:
        """One per sentence, remembered by id."""
        ids = [self.id_of(entry.key, text, str(top_k), str(fine)) for text in sentences]
        known = [self.found.find(id) for id in ids]
        missing = [i for i, one in enumerate(known) if one is None]
        if missing:
            made = self.look_for(entry, [sentences[i] for i in missing], top_k, fine)
            for number, i in enumerate(missing):
                known[i] = self.found.put(ids[i], seen_map(ids[i], entry.key, made, number))
        return [one for one in known if one is not None]

    def forget(self, key: str) -> None:
        """All that was seen in a study whose files may be others now."""
        self.seen.drop(key)
        self.found.drop_all(lambda one: one.study == key)

    def map(self, id: str) -> SeenMap:
        found = self.found.find(id)
        if found is None:
            raise not_found("map; ask for it again with its sentence")
        return found

    def id_of(self, *parts: str) -> str:
        return hmac.digest(self.secret, json.dumps(parts).encode(), "sha256").hex()[:KEY]


def seen_map(id: str, study: str, maps: HeatMaps, number: int) -> SeenMap:
    nearest, placement, patch = maps.nearest(number), maps.placement, maps.grid.patch
    to_input = np.diag([*map(float, patch), 1.0])
    to_input[:3, 3] = (np.array(patch) - 1) / 2
    inside = placement.holds_scan(maps.grid.shape)
    return SeenMap(id, study, nearest.patches, inside, placement.affine @ to_input, nearest)


def size_of(seen: Seen) -> int:
    """With room for the regions of finer looks, which come later, so that it is the same at any time."""
    made = {name: tensor for name, tensor in vars(seen).items() if name in ("volume", "features", "regions")}
    times = {"regions": max(looks for looks in FINE if can_look(looks, seen.model))}
    return sum(t.element_size() * t.nelement() * times.get(name, 1) for name, t in made.items())


def can_look(looks: int, model: Looking) -> bool:
    try:
        return looks_along(looks, model.grid.patch) > 0
    except SimcropError:
        return False
