"""A whole scan, however large, to be asked for sentences: inputs that half overlap are looked at one after the other.

Axes: s sentence, n patch (gx slowest, gz fastest), e features shared with texts, x y z voxels of an input (RAS+).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from simcrop.data.preprocess import InputSpec, Placement, Triple, crop_or_pad, start_in, to_unit
from simcrop.data.resampling.plan import resample
from simcrop.data.volume import Volume
from simcrop.model.heat import Heat, HeatMaps, TopK, box_counts, looks_along, refuse_no_question
from simcrop.model.looks import as_rows, averaged, cells_of, covering, within
from simcrop.model.seen import Looking


@dataclass(frozen=True, eq=False)
class WholeScan:
    """A scan resampled to the model's spacing, of which no more than one input at a time becomes tensors. `placement`:
    that of the one input that `model.look` takes, from which the others are counted, so that their patches lie on one
    lattice.
    """

    model: Looking
    resampled: Volume
    placement: Placement

    def look_for(
        self,
        sentences: Sequence[str],
        top_k: TopK = None,
        fine: int = 1,
        texts: Float[Tensor, "s e"] | None = None,
    ) -> HeatMaps:
        """As `Seen.look_for`, over all of the scan."""
        along = looks_along(fine, self.model.grid.patch)
        placement, whole = covering(self.placement, self.model.grid)

        def look(begin: Triple) -> Tensor:
            start = within(begin, placement.start)
            crop = crop_or_pad(self.resampled.hu, start, self.placement.spec.shape)
            volume = torch.from_numpy(to_unit(crop, self.placement.spec.window_hu))[None, None]
            return self.model.regions_of(volume)[0]

        refuse_no_question(sentences, top_k)
        texts = self.model.encode(sentences) if texts is None else texts
        similarity = averaged(texts, look, self.model.grid, whole, along)
        cells = cells_of(whole, along)
        counts = box_counts(sentences, top_k, self.model.top_k, cells, placement, fine)
        return HeatMaps(as_rows(similarity), cells, placement, counts)

    def ground(self, sentences: Sequence[str], top_k: TopK = None, fine: int = 1) -> list[Heat]:
        """As `Seen.ground`, over all of the scan."""
        return list(self.look_for(sentences, top_k, fine))


def look_at_whole(model: Looking, volume: Volume, spec: InputSpec) -> WholeScan:
    """In memory are the scan, and the scan at the model's spacing."""
    resampled = resample(volume, spec.spacing_mm, spec.antialias)
    start = start_in(resampled.hu, spec)
    placement = Placement(spec, volume.shape, volume.affine, resampled.shape, resampled.affine, start)
    return WholeScan(model, resampled, placement)
