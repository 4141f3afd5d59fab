"""A trained model as a person uses it: a scan in, a feature vector, scores or heat maps out."""

from simcrop.model.folder import load
from simcrop.model.model import Model
from simcrop.model.seen import Heat, Seen

__all__ = ["Heat", "Model", "Seen", "load"]
