"""simcrop learns to read 3D chest CT from the reports that radiologists wrote about it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simcrop import losses
    from simcrop.data.readers import read_volume
    from simcrop.data.store.cohort import Cohort, Study, open_cohort
    from simcrop.data.volume import Volume
    from simcrop.errors import SimcropError
    from simcrop.evaluation.nearest import nearest
    from simcrop.model import Embeddings, Heat, Model, PatchTokens, Refused, load
    from simcrop.model.plain_encoder import Encoder, encoder
    from simcrop.model.segmenter import Segmentation, Segmenter, load_segmenter
    from simcrop.tasks.features.cohort_features import cohort_features

__version__ = "0.1.0"

_HOMES = {
    "read_volume": "simcrop.data.readers",
    "Volume": "simcrop.data.volume",
    "open_cohort": "simcrop.data.store.cohort",
    "Cohort": "simcrop.data.store.cohort",
    "Study": "simcrop.data.store.cohort",
    "load": "simcrop.model",
    "Model": "simcrop.model",
    "Heat": "simcrop.model",
    "PatchTokens": "simcrop.model",
    "Embeddings": "simcrop.model",
    "Refused": "simcrop.model",
    "encoder": "simcrop.model.plain_encoder",
    "Encoder": "simcrop.model.plain_encoder",
    "load_segmenter": "simcrop.model.segmenter",
    "Segmenter": "simcrop.model.segmenter",
    "Segmentation": "simcrop.model.segmenter",
    "SimcropError": "simcrop.errors",
    "cohort_features": "simcrop.tasks.features.cohort_features",
    "nearest": "simcrop.evaluation.nearest",
    "losses": None,
}

__all__ = [
    "Cohort",
    "Embeddings",
    "Encoder",
    "Heat",
    "Model",
    "PatchTokens",
    "Refused",
    "Segmentation",
    "Segmenter",
    "SimcropError",
    "Study",
    "Volume",
    "cohort_features",
    "encoder",
    "load",
    "load_segmenter",
    "losses",
    "nearest",
    "open_cohort",
    "read_volume",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that `simcrop --help` needs no torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'simcrop' has no attribute {name!r}")
    home = _HOMES[name]
    return import_module(f"simcrop.{name}") if home is None else getattr(import_module(home), name)
