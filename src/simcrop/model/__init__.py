"""A trained model as a person uses it: a scan in, a feature vector, scores or heat maps out."""

from simcrop.model.embeddings import Embeddings
from simcrop.model.folder import load
from simcrop.model.heat import Heat
from simcrop.model.model import Model
from simcrop.model.scans import Refused
from simcrop.model.seen import PatchTokens, Seen

__all__ = ["Embeddings", "Heat", "Model", "PatchTokens", "Refused", "Seen", "load"]
