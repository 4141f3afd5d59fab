"""What the reports of a training's studies say: opened where an earlier run has kept it, or gathered and kept.

Axes: s text, d features. All processes do this together: one writes, the others wait, and all open the same file.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import simcrop
from simcrop.config import Recipe
from simcrop.data.report import Report
from simcrop.data.samples.by_study import ByStudy
from simcrop.data.samples.collate import texts_of
from simcrop.data.samples.kept_texts import KeptTexts, found_texts, keep_texts, texts_file
from simcrop.data.samples.split_reports import split_reports
from simcrop.data.samples.text_features import SentenceBank, TextQuestions, build_bank
from simcrop.data.samples.tokenizer import Tokenizer
from simcrop.data.store.cohort import Cohort
from simcrop.data.store.format import KEPT, STUDIES
from simcrop.engine.distributed import DistributedContext
from simcrop.engine.progress import Progress
from simcrop.files.digest import digest_of_bytes, digest_of_files, digest_of_texts, digest_while_unchanged
from simcrop.nn.text_encoder import TextEncoder
from simcrop.objectives.needs import TextNeeds
from simcrop.objectives.texts import encode_texts
from simcrop.tasks.training.organ_texts import ORGAN_TEXTS, organ_texts_of
from simcrop.tasks.training.pinned import digest_of_encoder
from simcrop.tasks.training.samples import no_texts, of_share
from simcrop.tasks.training.split_together import split_together
from simcrop.weights.embedded import text_encoder_folder

FORMAT, REPORTS_AT_ONCE, SENTENCES_AT_ONCE = 1, 32, 256
# What decides how a report is read.
RULES, ENDINGS = ("data", "evaluation", "wordings", "tasks"), {".py", ".yaml"}


@dataclass(frozen=True, eq=False)
class Gathering:
    """The texts that one recipe wants of some studies. `text`: the encoder that reads them; `asked`: what else is to be
    known of them; `show` makes a progress for each of the long stretches.
    """

    cohort: Cohort
    studies: Cohort
    recipe: Recipe
    needs: TextNeeds
    tokenizer: Tokenizer
    text: TextEncoder | None
    asked: TextQuestions
    context: DistributedContext
    show: Callable[[], Progress]

    def texts(self) -> KeptTexts:
        """From the file where every process finds it, otherwise from the reports, and from then on from the file."""
        if self.folder is None:
            return self.gathered()
        found = found_texts(self.file)
        if not self.context.any_rank(found is None) and found is not None:
            return found
        texts = self.gathered()
        kept = keep_texts(self.file, texts) if self.context.is_main else None
        self.context.barrier()
        return kept or found_texts(self.file) or texts

    @property
    def folder(self) -> Path | None:
        """Beside the reports themselves."""
        return self.cohort.path / KEPT if self.recipe.text.cache_sentences else None

    @cached_property
    def file(self) -> Path:
        """Named after everything that its content follows from."""
        assert self.folder is not None
        root = Path(simcrop.__file__).parent
        rules = sorted(p for wing in RULES for p in (root / wing).rglob("*") if p.suffix in ENDINGS)
        organs = self.needs.organs
        said = [organs.descriptions, organs.conclusions] if organs else []
        rows = self.studies.index.select("id", "scan", "findings", "impression").iter_rows()
        kind = {
            "format": FORMAT,
            "studies": digest_of_texts(chain.from_iterable(rows)),
            "wanted": [self.needs.unit, self.needs.opposites, self.needs.levels],
            "organs": [organs.names, *(digest_while_unchanged(Path(path)) for path in said if path)]
            if organs
            else [],
            "further": digest_of_texts(self.asked.further),
            "words": [self.tokenizer.fingerprint, self.recipe.text.report_length] if self.compact else [],
            "features": [self.vectors] if self.encodes else [],
        }
        source = digest_of_files(self.cohort.path / STUDIES, *rules)
        return texts_file(self.folder, source, digest_of_bytes(json.dumps(kind).encode()))

    @property
    def encodes(self) -> bool:
        """Whether each text is encoded once, before the first step."""
        return self.text is not None and self.needs.unit is not None and self.recipe.text.freeze

    @property
    def compact(self) -> bool:
        """Whether the word pieces of the reports are wanted."""
        return self.needs.predicted == "compact"

    @cached_property
    def vectors(self) -> str:
        return vectors_file(self.recipe, self.needs, self.tokenizer)

    def gathered(self) -> KeptTexts:
        """From the reports. Raises SimcropError where they say nothing."""
        studies, needs = self.studies, self.needs
        reports = [Report(*both) for both in studies.index.select("findings", "impression").iter_rows()]
        stated = None if needs.organs is None else organ_texts_of(studies, reports, needs.organs)
        texts = self.split(reports) if stated is None else stated.texts
        if not any(texts if needs.unit else [report.text for report in reports]):
            raise no_texts(studies, self.recipe, of_share(self.recipe))
        bank, ids = self.bank(texts), studies.index["id"].to_list()
        return KeptTexts(
            bank,
            ByStudy.of(ids, bank.places(texts), np.int32),
            None if stated is None else ByStudy.of(ids, stated.normal, np.bool_),
            self.pieces_used(reports) if self.compact else None,
            {} if stated is None else {ORGAN_TEXTS: stated.source},
        )

    def split(self, reports: Sequence[Report]) -> list[list[str]]:
        """What of each report meets the image; sentences from where they are kept, which one process writes."""
        if self.needs.unit != "sentence":
            return [texts_of(report, self.needs.unit) for report in reports]
        tell = told(self.show, "reports split into sentences")
        tell(0, len(reports))  # a word before the first of them: what is kept takes seconds to read
        findings, first = [report.findings for report in reports], self.context.is_main
        if not first:
            self.context.barrier()  # what the first has kept need not be split again
        sentences = split_reports(findings, self.folder, first, tell, split_together)
        if first:
            self.context.barrier()
        return sentences

    def bank(self, texts: Sequence[Sequence[str]]) -> SentenceBank:
        """All texts, each encoded once, on the devices that will train, when the text encoder is frozen."""
        text = self.text
        if text is None or not self.encodes:
            return build_bank(texts, None, asked=self.asked)
        context, needs = self.context, self.needs

        @torch.no_grad()
        def encode(chunk: list[str]) -> Tensor:
            tokens = self.tokenizer.encode(chunk, self.recipe.text_length).to(context.device)
            return encode_texts(tokens, text.to(context.device), needs.pool).float().cpu()

        cache = self.folder / self.vectors if self.folder else None
        at_once = SENTENCES_AT_ONCE if needs.unit == "sentence" else REPORTS_AT_ONCE
        tell = told(self.show, "texts encoded")
        try:
            return build_bank(texts, encode, cache, at_once, context, tell, self.asked)
        finally:
            text.cpu()  # where the rest of the network is built; the engine moves all of it

    def pieces_used(self, reports: Sequence[Report]) -> Tensor:
        """Ids of all word pieces that the reports hold, in their order."""
        tell, used = told(self.show, "reports read for their words"), set[int]()
        for start in range(0, len(reports), SENTENCES_AT_ONCE):
            some = reports[start : start + SENTENCES_AT_ONCE]
            tokens = self.tokenizer.encode([report.text for report in some], self.recipe.text.report_length)
            used.update(tokens.ids[tokens.mask].unique().tolist())
            tell(start + len(some), len(reports))
        return torch.tensor(sorted(used))


def vectors_file(recipe: Recipe, needs: TextNeeds, tokenizer: Tokenizer) -> str:
    """The file in which features of texts are kept one by one as they are made. Its name follows from all that makes
    them: shape and weights of the text encoder, word pieces and their case, what is pooled, where a text is cut.
    """
    encoder = digest_of_encoder(text_encoder_folder(recipe.text.model))
    reader = digest_of_bytes(f"{encoder} {tokenizer.fingerprint}".encode())
    kind = "" if needs.unit == "sentence" else f"-{needs.unit}"
    return f"{reader[:12]}-{needs.pool}-{recipe.text_length}{kind}.vectors"


def told(show: Callable[[], Progress], words: str) -> Callable[[int, int], None]:
    """A progress that always says the same beside its count, and is not shown before there is something to count."""
    shown: list[Progress] = []

    def tell(done: int, total: int) -> None:
        if not shown:
            shown.append(show())
        shown[0](done, total, words)

    return tell
