"""A segmentation model on scans of a cohort: what was stored becomes labels on the grid of the scan's file.

Axes: x y z of the stored grid (RAS+); i j k as in the file; c class, 0 is background.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from simcrop.config import build_recipe
from simcrop.data.preprocess import to_unit
from simcrop.data.resampling.back import LabelsBack
from simcrop.data.samples.windows import check_stored_at
from simcrop.data.store.cohort import Study
from simcrop.files.tensors import load_state
from simcrop.model.folder import CONFIG, WEIGHTS, model_folder, read_config
from simcrop.model.sliding_window import is_air, logit_slabs
from simcrop.objectives.method import Components
from simcrop.objectives.segment import Segment, logits_of
from simcrop.tasks.start_from import tensors_of


class StoredScans:
    """Call it with a study."""

    def __init__(self, run: Path, device: torch.device) -> None:
        folder = model_folder(run)
        self.recipe = build_recipe(read_config(folder)["architecture"], str(folder / CONFIG))
        objective = self.recipe.build(Components(self.recipe.input.grid, patch_mm=self.recipe.input.patch_mm))
        assert isinstance(objective, Segment)
        load_state(objective, tensors_of(folder / WEIGHTS), None, f"{folder}: its weights")
        self.objective, self.device = objective.to(device).eval(), device

    def __call__(self, study: Study) -> np.ndarray:
        """int16 `(i, j, k)`: 1 is the first class."""
        spec, hu = self.recipe.input.spec, study.read()
        check_stored_at(study, spec)
        back = LabelsBack(study.source_shape, study.source_affine, study.shape, study.affine)
        slabs = logit_slabs(
            torch.from_numpy(to_unit(hu, spec.window_hu)),
            is_air(hu),
            spec.shape,
            self.network,
            1 + len(self.recipe.class_names),
            device=self.device,
        )
        for slab in slabs:
            back.take(slab.logits.softmax(0).numpy())
        return back.labels

    def network(self, windows: Tensor) -> Tensor:
        return logits_of(self.objective.vision, self.objective.decoder, windows, self.objective.taps)
