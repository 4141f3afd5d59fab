"""The network of a trained model: the encoder and what its method leaves behind for use.

Axes: b scan, n patch (gx slowest, gz fastest), s sentence, x y z voxels (right, front, up), d features, e features
shared with texts, l label. A model carries and enforces its preprocessing. Nothing learns here, but in `plain_encoder`.
"""

from collections.abc import Iterable, Sequence
from contextlib import closing

import numpy as np
import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize

from simcrop.config import Recipe
from simcrop.data.preprocess import InputSpec, preprocess
from simcrop.data.samples.tokenizer import Tokenizer
from simcrop.engine.precision import settled
from simcrop.errors import SimcropError
from simcrop.model.embeddings import Embeddings, sorted_out
from simcrop.model.heat import Heat, TopK
from simcrop.model.scans import Scan, ahead, in_batches, listed, volume_of
from simcrop.model.seen import PatchTokens, Seen, check_pool, pooled
from simcrop.model.whole import WholeScan, look_at_whole
from simcrop.nn.text_encoder import Pool, TextEncoder
from simcrop.objectives.method import ProjectionHead
from simcrop.objectives.texts import encode_texts


class Model(nn.Module):
    """An encoder and, where the method has them, a projection head with the text encoder, or a head for labels; nothing
    that only training needs. `simcrop.load` makes one. `grid`: where the patches lie in the input; `called`: what it is
    for the person who asks too much of it.

    A scan is a path to whatever `simcrop.read_volume` reads, or a `Volume`, in HU and with its affine. One that cannot
    be used raises SimcropError, with a `reason` that can be counted and a `sentence`.
    """

    def __init__(
        self, recipe: Recipe, text: TextEncoder | None, tokenizer: Tokenizer | None, called: str = ""
    ) -> None:
        super().__init__()
        self.called = called or f"a {recipe.method} model"
        self.recipe, self.tokenizer = recipe, tokenizer
        self.grid = recipe.input.grid
        self.vision = recipe.vision.build(self.grid)
        self.projection = None if text is None else recipe.projection_head(text)
        self.head = recipe.label_head()
        self.text = text
        self.eval()

    def look(self, scan: Scan) -> Seen:
        """A scan to be asked: `seen = model.look(scan)`, then `seen.ground(sentences)` as often as wanted."""
        tensor, placement = preprocess(volume_of(scan), self.spec)
        return Seen(self, tensor[None], placement)

    def look_at_whole(self, scan: Scan) -> Seen | WholeScan:
        """All of a scan to be asked for sentences, where `look` takes the middle: inputs that half overlap, one at a
        time. A model whose input is the whole scan sees it in one.
        """
        if self.spec.fit == "resize":
            return self.look(scan)
        return look_at_whole(self, volume_of(scan), self.spec)

    def embed(self, scan: Scan, pool: str = "mean") -> np.ndarray:
        """One float32 vector for a scan, `(768,)` at paper size: the mean of its patches' features, the paper's
        f^I = GAP(f_v), or with `max` the largest value of each.
        """
        check_pool(pool)
        return self.look(scan).embed(pool)

    def embed_many(
        self, scans: Iterable[Scan], batch: int = 8, workers: int = 1, pool: str = "mean"
    ) -> Embeddings:
        """The vectors of many scans, `(s, d)` in their order, those of `embed` but for rounding; a scan that cannot be
        read is listed under `refused` with its reason, and the rest goes on.

        While `batch` scans are encoded, the next are read: by one thread, or by so many processes (`workers`), which is
        faster and outlives a file that ends its reader. A script then calls it below `if __name__ == "__main__":`. In
        memory are the inputs of three batches and a whole scan for each worker; `scans` may be a generator.
        """
        check_pool(pool)
        check_counts(batch=batch, workers=workers)
        vectors, names, places, refused = [np.zeros((0, self.vision.width), np.float32)], [], [], []
        with closing(ahead(listed(scans), self.spec, max(batch, workers), workers)) as found:
            for read, failed in in_batches(found, batch):
                refused += failed
                if read:
                    inputs = torch.from_numpy(np.stack([scan.input for scan in read]))
                    vectors.append(pooled(self.features_of(inputs), pool))
                    names += [scan.name for scan in read]
                    places += [scan.place for scan in read]
        return sorted_out(np.concatenate(vectors), names, places, refused)

    def tokens(self, scan: Scan) -> PatchTokens:
        """The features of all patches of a scan, `(n, d)`, the centre of each in RAS+ mm of the scan's own file, and
        which of them hold some of the scan and not only the air around it.
        """
        return self.look(scan).tokens

    def ground(
        self, scan: Scan, sentences: Sequence[str], top_k: TopK = None, fine: int = 1, whole: bool = False
    ) -> list[Heat]:
        """Where each sentence is seen: cosine similarity of its feature with every patch (Eq. 2), on the scan's own
        grid, and the `top_k` nearest patches. By default these are `align.top_k / (1 - mim.mask_ratio)` of SimCroP, 256
        at the paper's size, since K of Eq. 3 counts visible patches only, and of other methods a tenth of all; with
        `auto` no more than what a sentence states the size of can fill. Finer than a patch where `fine` looks, 8 for
        example, are averaged. `whole`: of scans larger than the input, all of them. Raises SimcropError
        (`no-sentences`) of a model that was trained without reports.
        """
        _ = self.reader  # a model that cannot is refused before it works
        looked = self.look_at_whole(scan) if whole else self.look(scan)
        return looked.ground(sentences, top_k, fine)

    def scores(self, scan: Scan) -> dict[str, float]:
        """Probability of each label by its name. Raises SimcropError (`no-labels`) of a model that was taught none."""
        return self.look(scan).scores()

    @torch.no_grad()
    def features_of(self, volumes: Float[Tensor, "b 1 x y z"]) -> Float[Tensor, "b n d"]:
        """Features of all patches of inputs in [-1, 1], nothing masked; for scans that are cut already."""
        with self.autocast():
            return self.vision(volumes.to(self.device)).patches.float()

    @torch.no_grad()
    def regions_of(self, volumes: Float[Tensor, "b 1 x y z"]) -> Float[Tensor, "b n e"]:
        """All patches of inputs in [-1, 1] in the space of sentences, each of length one."""
        _ = self.reader
        with self.autocast():
            patches = self.vision(volumes.to(self.device), skip_attention=self.skips_attention).patches
        return self.projected(patches.float())

    @torch.no_grad()
    def projected(self, features: Float[Tensor, "b n d"]) -> Float[Tensor, "b n e"]:
        """Patch features in the space of sentences, each of length one."""
        return normalize(self.reader[0].patches(features).float(), dim=-1)

    @torch.no_grad()
    def encode(self, sentences: Sequence[str]) -> Float[Tensor, "s e"]:
        """Sentences in the space they were aligned in, each of length one."""
        projection, text, tokenizer, pool = self.reader
        tokens = tokenizer.encode(list(sentences), self.recipe.text_length).to(self.device)
        with self.autocast():
            features = encode_texts(tokens, text, pool).float()
        return normalize(projection.sentences(features), dim=-1)

    def similarity(
        self, volumes: Float[Tensor, "b 1 x y z"], sentences: Sequence[str]
    ) -> Float[Tensor, "b s n"]:
        """Cosine of every sentence with every patch of inputs in [-1, 1]."""
        return einsum(self.encode(sentences), self.regions_of(volumes), "s e, b n e -> b s n")

    @torch.no_grad()
    def scores_of(self, features: Float[Tensor, "b n d"]) -> Float[Tensor, "b l"]:
        """Probability of every label that the model was taught; `features` from `features_of`."""
        if self.head is None:
            raise SimcropError("no-labels", f"{self.called} learns no labels; probe it instead")
        return self.head(features).sigmoid()

    @property
    def reader(self) -> tuple[ProjectionHead, TextEncoder, Tokenizer, Pool]:
        """What reads sentences, or why nothing does."""
        needs = self.recipe.text_needs
        if self.projection is None or self.text is None or self.tokenizer is None or needs is None:
            raise SimcropError(
                "no-sentences",
                f"{self.called} learns no sentences and cannot say where one is seen",
            )
        return self.projection, self.text, self.tokenizer, needs.pool

    @property
    def skips_attention(self) -> bool:
        """Whether sentences are sought among patches that do not see each other, as the method was trained."""
        needs = self.recipe.text_needs
        return needs is not None and needs.skip_attention

    @property
    def label_names(self) -> tuple[str, ...]:
        """Labels that it was taught."""
        return self.recipe.label_names or ()

    @property
    def spec(self) -> InputSpec:
        """Its preprocessing: spacing in mm, voxels of the input, the window in HU that becomes [-1, 1]."""
        return self.recipe.input.spec

    @property
    def scored(self) -> int:
        """Patches that are averaged to score a sentence in a scan unless another number is asked for."""
        return self.recipe.scored(self.grid.count)

    @property
    def top_k(self) -> int:
        """Patches that are shown per sentence unless another number is asked for."""
        return self.recipe.boxes(self.grid.count)

    def autocast(self) -> torch.autocast:
        """The encoders' products in bf16 on a card that has it; on a processor in fp32, which is the reference."""
        half = self.device.type == "cuda" and settled("auto", self.device) == "bf16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=half)

    @property
    def device(self) -> torch.device:
        return self.vision.device


def check_counts(**counts: object) -> None:
    for name, count in counts.items():
        if not isinstance(count, int | np.integer) or count < 1:
            raise SimcropError("bad-setting", f"{name} wants a whole number from 1 on, got {count!r}")
