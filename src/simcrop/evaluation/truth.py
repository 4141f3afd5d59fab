"""What is known of scans beyond their labels: which sentence speaks of what, and where that lies.

No axes or units. Phantoms know it because they were drawn, ReXGroundingCT because people drew masks; whoever asks
here need not know which.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable


@runtime_checkable
class KnownSentence(Protocol):
    """One sentence of a report. `sentence_index` counts from 0 within its findings; `finding`: None for one about
    none; `negated`: it is denied; `mask_value`: its voxels in the mask, 0 where none belong to it.
    """

    @property
    def sentence_index(self) -> int: ...

    @property
    def finding(self) -> str | None: ...

    @property
    def negated(self) -> bool: ...

    @property
    def side(self) -> str | None: ...

    @property
    def lobe(self) -> str | None: ...

    @property
    def mask_value(self) -> int: ...

    @property
    def shows(self) -> bool:
        """Whether the sentence points at something in the scan."""
        ...


@runtime_checkable
class Truth(Protocol):
    """Of a cohort, by the ids of its studies."""

    def of(self, study: str, /) -> Sequence[KnownSentence]:
        """The known sentences of one study, in the order of its report."""
        ...

    def mask_path(self, study: str, /) -> Path:
        """A label volume on the grid of the study's file."""
        ...
