"""What results in DICOM say in words, and who made them: what the Parametric Map, SEG and report of sentences share.

No axes. Texts are written in UTF-8, whatever the series has: a sentence may hold what its own letters cannot say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from pydicom.dataset import Dataset

import simcrop
from simcrop.data.writers.coded import PRIVATE, Concept
from simcrop.data.writers.dicom_seg import uid_of

UTF8 = "ISO_IR 192"
LONGEST_LABEL, LONGEST_TEXT = 64, 1024  # by DICOM's LO and ST
NUMBERS = {"map": 9002, "regions": 9003, "report": 9004}  # of series, beyond those of scanners and of masks
DESCRIPTIONS = {
    "map": "Where sentences are seen, by simcrop, not for diagnosis",
    "regions": "Regions of sentences by simcrop, not for diagnosis",
    "report": "Sentences and where they are seen, by simcrop",
}


@dataclass(frozen=True)
class Source:
    """What results refer to: the `headers` of a series, one per slice, completed; `model`: a digest of what made them;
    `asked`: a digest of all sentences.
    """

    headers: Sequence[Dataset]
    model: str
    asked: str

    def uid(self, *words: str) -> str:
        """The same of the same series, model and sentences."""
        return uid_of(*words, str(self.headers[0].SeriesInstanceUID), self.model, self.asked)

    def made(self, kind: str, number: int, content: bytes) -> dict[str, Any]:
        """How highdicom is told which instance of which series it makes."""
        return {
            "series_instance_uid": self.uid(kind),
            "series_number": NUMBERS[kind],
            "sop_instance_uid": self.uid(kind, str(number), sha256(content).hexdigest()),
            "instance_number": number,
            "manufacturer": "simcrop",
            "manufacturer_model_name": "simcrop",
            "software_versions": simcrop.__version__,
            "device_serial_number": self.model[:16],
            "series_description": DESCRIPTIONS[kind],
            "specific_character_set": UTF8,
        }


def digest_of(sentences: Sequence[str]) -> str:
    return sha256("\n".join(sentences).encode()).hexdigest()


def plain(sentence: str, longest: int) -> str:
    """One line without what DICOM takes for the end of a value, cut where it has to be: in bytes, since some that read
    it count these.
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in sentence).replace("\\", "/").split())
    if len(line.encode()) <= longest:
        return line
    return f"{line.encode()[: longest - 3].decode(errors='ignore').rstrip()}..."


def sentence_code(sentence: str) -> Concept:
    """A sentence as a code of our own: where DICOM wants to know what was found, and no list has it."""
    value = sha256(sentence.encode()).hexdigest()[:16].upper()
    return Concept(value, plain(sentence, LONGEST_LABEL), PRIVATE)
