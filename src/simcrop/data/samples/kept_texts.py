"""The texts of some studies in one file that is mapped: a run opens it, and its loading processes share it.

Axes: u distinct text, s text of a study, w word. The file is whole or absent, and is named after all that it follows
from: another cohort, another selection or other rules are another file. It holds texts of reports, and lies where the
reports lie.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from simcrop.data.samples.by_study import ByStudy
from simcrop.data.samples.text_features import SentenceBank
from simcrop.files.mapped import Mapped, damaged, open_checked, open_mapped, remove_others, save_mapped
from simcrop.files.text_list import TextList
from simcrop.files.whole import StoreError

BANK, SAID = "bank", "said"
OF_BANK = "document_frequency", "size_mm", "features", "opposite", "claims", "level"


@dataclass(frozen=True, eq=False)
class KeptTexts:
    """`bank`: every distinct text; `known`: of each study the places of its texts in the bank; `normal`: where each
    text is about one organ, which are so; `vocabulary`: the word pieces that the reports hold, where a method asks;
    `facts`: where the texts are from; `mapped`: the file in which all this lies, None while it is in memory alone.
    """

    bank: SentenceBank
    known: ByStudy
    normal: ByStudy | None = None
    vocabulary: Int[Tensor, " w"] | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    mapped: Mapped | None = None


def texts_file(folder: Path, source: str, kind: str) -> Path:
    """`source`: a digest of the cohort and of the rules of reading reports; `kind`: of what was asked of them."""
    return folder / f"{BANK}-{source[:12]}-{kind[:12]}.safetensors"


def keep_texts(path: Path, texts: KeptTexts) -> KeptTexts:
    """The same, from now on in the file; a read-only cohort or a full disk keeps none, and they stay in memory."""
    with suppress(StoreError, OSError):
        path.parent.mkdir(exist_ok=True)
        remove_others(path)
        save_mapped(path, tensors_of(texts), {**texts.facts, SAID: str(texts.bank.said)})
    return found_texts(path) or texts


def found_texts(path: Path) -> KeptTexts | None:
    """What an earlier run has kept; None where there is nothing, or not as it was written."""
    mapped = open_checked(path)
    return None if mapped is None else texts_of(mapped)


@lru_cache(maxsize=1)
def opened_texts(path: Path) -> KeptTexts:
    """The same in a loading process, once. Raises SimcropError where it is gone."""
    return texts_of(open_mapped(path))


def tensors_of(texts: KeptTexts) -> dict[str, Tensor]:
    named = {name: getattr(texts.bank, name) for name in OF_BANK}
    tensors = {name: tensor for name, tensor in named.items() if tensor is not None}
    tensors |= {"texts": torch.from_numpy(texts.bank.texts.content)}
    tensors |= {"texts.starts": torch.from_numpy(texts.bank.texts.starts)}
    tensors |= {"studies": torch.from_numpy(texts.known.ids.content)}
    tensors |= {"studies.starts": torch.from_numpy(texts.known.ids.starts)}
    tensors |= {"known.starts": torch.from_numpy(texts.known.starts)}
    tensors |= {"known": torch.from_numpy(texts.known.flat)}
    if texts.normal is not None:  # as many per study as there are texts
        tensors |= {"normal": torch.from_numpy(texts.normal.flat)}
    if texts.vocabulary is not None:
        tensors |= {"vocabulary": texts.vocabulary}
    return tensors


def texts_of(mapped: Mapped) -> KeptTexts:
    """Nothing of it is copied."""
    facts, tensors = dict(mapped.facts), mapped.tensors
    try:
        bank = SentenceBank(
            TextList(tensors["texts"].numpy(), tensors["texts.starts"].numpy()),
            said=int(facts.pop(SAID)),
            **{name: tensors.get(name) for name in OF_BANK},  # type: ignore[arg-type]
        )
        ids = TextList(tensors["studies"].numpy(), tensors["studies.starts"].numpy())
        starts = tensors["known.starts"].numpy()
        known = ByStudy(ids, starts, tensors["known"].numpy())
        normal = ByStudy(ids, starts, tensors["normal"].numpy()) if "normal" in tensors else None
    except (KeyError, ValueError) as error:
        raise damaged(mapped.path) from error
    return KeptTexts(bank, known, normal, tensors.get("vocabulary"), facts, mapped)
