"""What is asked of each image alone, on the pass of the cross-image term: options that are not in the paper.

Axes: b study, v visible patches, s sentence, e features that sentences and patches share.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from simcrop.data.samples.batch import Batch, Sentences
from simcrop.nn.masking import Mask
from simcrop.objectives.method import ProjectionHead, Term
from simcrop.settings import Settings


class OptionSettings(Settings):
    """`weight`: its factor in the sum; `temperature`: what cosines are divided by."""

    enabled: bool = False
    weight: float = Field(default=1.0, ge=0)
    temperature: float = Field(default=0.07, gt=0)


@dataclass(frozen=True, eq=False)
class Look:
    """A batch as that pass saw it. `patches` and `sentences`: in the space that they share; `mask`: which patches were
    seen, None all; `k`: so many are nearest to a sentence; `read`: further sentences into that space, and `projection`
    their features.
    """

    batch: Batch
    patches: Float[Tensor, "b v e"]
    sentences: Float[Tensor, "s e"]
    mask: Mask | None
    k: int
    read: Callable[[Sentences], Tensor]
    projection: ProjectionHead


class OwnImageTerm(nn.Module):
    """A term that is a mean over what counts in each batch. `words`: what it is, for the page of a run."""

    words: str

    @abstractmethod
    def count(self, batch: Batch) -> int:
        """Over how many it is a mean, of a batch still on the processor."""

    @abstractmethod
    def forward(self, look: Look) -> Float[Tensor, ""]:
        """The mean."""


class OwnImageTerms(nn.Module):
    """Several of them by name; there may be none."""

    def __init__(self, terms: Mapping[str, OwnImageTerm]) -> None:
        super().__init__()
        self.by_name = nn.ModuleDict(terms)

    def __iter__(self) -> Iterator[tuple[str, OwnImageTerm]]:
        for name, term in self.by_name.items():
            assert isinstance(term, OwnImageTerm)
            yield name, term

    def terms(self, settings: Mapping[str, OptionSettings]) -> dict[str, Term]:
        """As a method names its terms."""
        return {name: Term(settings[name].weight, term.words, aligns=True) for name, term in self}

    def counts(self, batch: Batch) -> dict[str, int]:
        return {name: term.count(batch) for name, term in self}

    def forward(self, look: Look) -> dict[str, Tensor]:
        return {name: term(look) for name, term in self}
