"""What a browser may ask in a body, each with its bounds: names, sentences and paths come here and never in a URL.

Pages count from 0; thresholds are cosine similarities.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field, StringConstraints

from simcrop.settings import Settings

MOST = 64  # sentences at once

Words = Annotated[str, StringConstraints(max_length=500)]
Sentence = Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"\S")]
Sentences = Annotated[list[Sentence], Field(min_length=1, max_length=MOST)]
Threshold = Annotated[float, Field(ge=-1, le=1)]
TopK = Annotated[int, Field(ge=1, le=1000)] | Literal["auto"] | None
Fine = Literal[1, 8]


class Body(Settings):
    """No number in quotes, no name that nobody knows."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False
    )


class Search(Body):
    words: Words = ""
    split: Words | None = None
    labels: Annotated[list[Words], Field(default_factory=list, max_length=200)]
    page: Annotated[int, Field(ge=0, le=10**6)] = 0


class MapRequest(Body):
    sentences: Sentences
    fine: Fine = 1
    top_k: TopK = None


class Exported(MapRequest):
    """`thresholds`: one for each sentence, null where it is the map's own."""

    format: Literal["nifti", "dicom"] = "nifti"
    thresholds: Annotated[list[Threshold | None], Field(max_length=MOST)] | None = None


class Alike(Body):
    top: Annotated[int, Field(ge=1, le=100)] = 10


class Opening(Body):
    """`report`: its text, where somebody has typed one; in place of what lies beside the scan."""

    path: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    report: Annotated[str, StringConstraints(max_length=200_000)] = ""


class Nothing(Body):
    """Of what needs no body; an empty one will do."""
