"""Every distinct sentence of a cohort, once: its frozen text feature and how many reports say it.

Axes: u distinct sentence, d features. Cached beside the cohort, because the text encoder never changes.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from torch import Tensor

from simcrop.data.stated_size import stated_size_mm
from simcrop.files.digest import digest_of_texts
from simcrop.files.tensors import save_tensors
from simcrop.files.whole import StoreError

Encode = Callable[[list[str]], Tensor]


@dataclass(frozen=True)
class SentenceBank:
    """`features` is None when the text encoder is trained and nothing may be cached; `size_mm`: the length that a
    sentence states, NaN where none.
    """

    index: dict[str, int]
    document_frequency: Float[Tensor, " u"]
    size_mm: Float[Tensor, " u"]
    features: Float[Tensor, "u d"] | None

    def ids(self, sentences: Sequence[str]) -> list[int]:
        """Where each sentence stands in the bank."""
        return [self.index[sentence] for sentence in sentences]

    def center(self) -> Float[Tensor, " d"] | None:
        """Mean feature over distinct sentences, for `align.center_text`."""
        if self.features is None:
            return None
        return (
            self.features.mean(0) if len(self.features) else self.features.new_zeros(self.features.shape[1])
        )


def build_bank(
    reports: Sequence[Sequence[str]], encode: Encode | None, cache: Path | None = None, chunk: int = 256
) -> SentenceBank:
    """Count the sentences of all reports and encode each distinct one once, or read the cache that did."""
    reports_with = Counter(sentence for report in reports for sentence in set(report))
    texts = sorted(reports_with)
    frequency = torch.tensor([reports_with[text] / len(reports) for text in texts], dtype=torch.float32)
    sizes = torch.tensor([stated_size_mm(text) or math.nan for text in texts])
    index = {text: i for i, text in enumerate(texts)}
    if encode is None:
        return SentenceBank(index, frequency, sizes, None)
    digest = digest_of_texts(texts)
    features = read_cache(cache, digest)
    if features is None:
        features = encode_all(texts, encode, chunk)
        write_cache(cache, digest, features)
    return SentenceBank(index, frequency, sizes, features)


def encode_all(texts: list[str], encode: Encode, chunk: int) -> Float[Tensor, "u d"]:
    """Features in the order of `texts`, encoded long beside long: padding to the longest then costs little."""
    if not texts:
        return encode([""])[:0]
    by_length = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    parts = [encode([texts[i] for i in by_length[at : at + chunk]]) for at in range(0, len(texts), chunk)]
    encoded = torch.cat(parts)
    features = torch.empty_like(encoded)
    features[torch.tensor(by_length)] = encoded
    return features


def read_cache(cache: Path | None, digest: str) -> Float[Tensor, "u d"] | None:
    """Features of exactly these sentences, or None."""
    if cache is None or not cache.is_file():
        return None
    try:
        with safe_open(cache, "pt") as file:
            same = (file.metadata() or {}).get("sentences") == digest
            return file.get_tensor("features") if same else None
    except (SafetensorError, OSError):
        return None


def write_cache(cache: Path | None, digest: str, features: Float[Tensor, "u d"]) -> None:
    """Keep the features for the next run; a read-only cohort or a full disk simply keeps none."""
    if cache is None:
        return
    try:
        cache.parent.mkdir(exist_ok=True)
        save_tensors({"features": features}, cache, {"sentences": digest})
    except (StoreError, OSError):
        pass
