"""What is really in each phantom scan: one line per sentence of its report, and a mask of its findings.

Masks are `(x, y, z)` uint8 NIfTI on the scan's own grid with its true affine in RAS+ mm; 0 is nothing, any other
value is one finding.
"""

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from simcrop.errors import SimcropError
from simcrop.phantom.anatomy.body import Lobe
from simcrop.phantom.findings.finding import FindingSide
from simcrop.phantom.reporting.report import Sentence


@dataclass(frozen=True)
class TruthSentence:
    """`sentence_index` counts from 0 within the Findings text; `mask_value` is 0 where no voxels belong to it.

    `finding` is a CT-RATE label or None for a sentence about none; with `negated` it is denied, so the scan has none.
    """

    volume: str
    sentence_index: int
    finding: str | None
    negated: bool
    side: FindingSide | None
    lobe: Lobe | None
    mask_value: int
    size_mm: int | None
    volume_ml: float | None = None  # of the bodies themselves, measured without a grid
    hu_low: int | None = None  # of a voxel wholly inside, before noise
    hu_high: int | None = None

    @property
    def shows(self) -> bool:
        """Whether the sentence points at something in the scan."""
        return self.mask_value > 0


@dataclass(frozen=True)
class Truth:
    """All sentences of a cohort, in the order of its volumes."""

    folder: Path
    sentences: tuple[TruthSentence, ...]

    def of(self, volume: str) -> tuple[TruthSentence, ...]:
        """The sentences of one volume, such as `train_1_a_1`, in the order of its report."""
        return tuple(self.by_volume.get(volume, ()))

    @cached_property
    def by_volume(self) -> dict[str, list[TruthSentence]]:
        """The same of every volume: looking through all for each takes four times as long of twice as many."""
        found: dict[str, list[TruthSentence]] = {}
        for sentence in self.sentences:
            found.setdefault(sentence.volume, []).append(sentence)
        return found

    @property
    def tells_all(self) -> bool:
        """Whether what is not told is not there: not so in real scans, into which findings were put."""
        try:
            note = json.loads((self.folder / "phantom.json").read_text())
        except (OSError, ValueError):
            return True
        return not (isinstance(note, dict) and note.get("scans"))

    def mask_path(self, volume: str) -> Path:
        return self.folder / f"{volume}_lesions.nii.gz"


def truth_of(volume: str, index: int, sentence: Sentence) -> TruthSentence:
    finding = sentence.finding
    if finding is None:
        return TruthSentence(volume, index, sentence.kind, sentence.negated, None, None, 0, None)
    return TruthSentence(
        volume=volume,
        sentence_index=index,
        finding=finding.kind,
        negated=False,
        side=finding.side,
        lobe=finding.lobe,
        mask_value=finding.mask_value,
        size_mm=finding.size_mm,
        volume_ml=finding.volume_ml,
        hu_low=finding.hu_range[0],
        hu_high=finding.hu_range[1],
    )


def to_json_lines(sentences: list[TruthSentence]) -> str:
    return "".join(json.dumps(asdict(sentence)) + "\n" for sentence in sentences)


def read_truth(out: Path) -> Truth:
    """The truth that `write_ct_rate` left beside a phantom cohort."""
    path = out / "truth" / "sentences.jsonl"
    if not path.is_file():
        raise SimcropError(
            "missing-file", f"{path}: not found; expected a folder written by `simcrop phantom`"
        )
    sentences = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        try:
            sentences.append(TruthSentence(**json.loads(line)))
        except (json.JSONDecodeError, TypeError) as error:
            raise SimcropError(
                "bad-truth", f"{path}, line {number}: not a sentence of the phantom's truth"
            ) from error
    return Truth(path.parent, tuple(sentences))
