"""The same step written the obvious way, as public code writes it: same maths, same weights, same loss.

Axes: b study, n all patches, v visible patches, p voxel, s sentence, t word piece, h head, d features.

A Conv3d embeds every patch before masking; softmax(q k^T) v is written out; sentences go through the frozen text
encoder in each step, padded; vision decoder and MLM head run on everything and are masked afterwards; AdamW is a loop.
"""

from copy import deepcopy

import torch
from einops import rearrange, repeat
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from simcrop import losses
from simcrop.data.samples.batch import Batch
from simcrop.engine.optim import OptimSettings
from simcrop.nn.bert import BertSelfAttention
from simcrop.nn.encoder import VisionFeatures
from simcrop.nn.fusion import CrossAttention
from simcrop.nn.masking import Mask, random_mask
from simcrop.nn.transformer import Attention
from simcrop.objectives.method import Term
from simcrop.objectives.simcrop import SimCroP


def explicit_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(-1) @ v


class ExplicitAttention(nn.Module):
    """`Attention` with its softmax written out."""

    def __init__(self, ours: Attention) -> None:
        super().__init__()
        self.heads, self.qkv, self.proj = ours.heads, ours.qkv, ours.proj

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = rearrange(self.qkv(x), "b n (three h d) -> three b h n d", three=3, h=self.heads)
        return self.proj(rearrange(explicit_attention(q, k, v), "b h n d -> b n (h d)"))


class ExplicitCrossAttention(nn.Module):
    """`CrossAttention` with its softmax written out."""

    def __init__(self, ours: CrossAttention) -> None:
        super().__init__()
        self.heads, self.query, self.key_value = ours.heads, ours.query, ours.key_value

    def forward(self, text: Tensor, patches: Tensor) -> Tensor:
        q = rearrange(self.query(text), "b t (h d) -> b h t d", h=self.heads)
        k, v = rearrange(self.key_value(patches), "b v (two h d) -> two b h v d", two=2, h=self.heads)
        return rearrange(explicit_attention(q, k, v), "b h t d -> b t (h d)")


class ExplicitTextAttention(nn.Module):
    """`BertSelfAttention` with its softmax written out."""

    def __init__(self, ours: BertSelfAttention) -> None:
        super().__init__()
        self.heads, self.query, self.key, self.value = ours.heads, ours.query, ours.key, ours.value

    def forward(self, x: Tensor, mask: Tensor, seen: None = None) -> Tensor:
        del seen  # a text looks at itself
        parts = (self.query, self.key, self.value)
        q, k, v = (rearrange(part(x), "b t (h d) -> b h t d", h=self.heads) for part in parts)
        scores = (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).masked_fill(~mask, float("-inf"))
        return rearrange(scores.softmax(-1) @ v, "b h t d -> b t (h d)")


class ConvPatchEmbed(nn.Module):
    """One kernel per patch on the whole volume, with the weights of our Linear."""

    def __init__(self, linear: nn.Linear, patch: tuple[int, int, int]) -> None:
        super().__init__()
        self.conv = nn.Conv3d(1, linear.out_features, patch, stride=patch, device=linear.weight.device)
        with torch.no_grad():
            self.conv.weight.copy_(linear.weight.view_as(self.conv.weight))
            self.conv.bias.copy_(linear.bias)  # type: ignore[union-attr]

    def forward(self, volume: Tensor) -> Tensor:
        return rearrange(self.conv(volume), "b d x y z -> b (x y z) d")


class NaiveSimCroP(nn.Module):
    """Takes a copy of our network and rewires it. Reads `sentences.tokens`, never cached features."""

    def __init__(self, ours: SimCroP) -> None:
        super().__init__()
        self.net = deepcopy(ours)
        self.embed = ConvPatchEmbed(self.net.vision.patch_embed, ours.grid.patch)
        self.net.vision.patch_embed.requires_grad_(False)
        for block in [*self.net.vision.transformer.blocks, *self.net.vision_decoder.transformer.blocks]:
            block.attn = ExplicitAttention(block.attn)  # type: ignore[arg-type]
        if self.net.fusion.words is not None:
            self.net.fusion.words = ExplicitCrossAttention(self.net.fusion.words)  # type: ignore[assignment]
        for layer in [*self.net.text.bert.encoder.layer, *self.net.report_decoder.encoder.layer]:
            layer.attention.self = ExplicitTextAttention(layer.attention.self)  # type: ignore[arg-type]

    @property
    def terms(self) -> dict[str, Term]:
        return self.net.terms

    def settled(self, parts: dict[str, Tensor]) -> dict[str, Tensor]:
        return parts

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        mask = random_mask(batch.drawn["patches"], self.net.settings.mim.mask_ratio)
        features = self.see(batch.volume, mask)
        volume = self.volume_loss(batch.volume, features, mask)
        report = self.report_loss(batch, features)
        return {"volume": volume, "report": report, "align": self.align_loss(batch, features)}

    def see(self, volume: Tensor, mask: Mask) -> VisionFeatures:
        vision = self.net.vision
        tokens = mask.take_visible(self.embed(volume) + vision.position)
        if vision.cls_token is None:
            return VisionFeatures(None, vision.transformer(tokens))
        cls = repeat(vision.cls_token, "d -> b 1 d", b=len(volume))
        out = vision.transformer(torch.cat([cls, tokens], 1))
        return VisionFeatures(out[:, 0], out[:, 1:])

    def volume_loss(self, volume: Tensor, features: VisionFeatures, mask: Mask) -> Tensor:
        error = (self.net.vision_decoder(features, mask).float() - self.net.grid.split(volume)) ** 2
        return (error.mean(-1) * mask.masked).sum() / mask.masked.sum()

    @torch.no_grad()
    def read(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Every text as long as the longest."""
        return self.net.text.bert(ids, mask)

    def align_loss(self, batch: Batch, features: VisionFeatures) -> Tensor:
        align, image_index = self.net.settings.align, batch.sentences.image_index
        tokens = batch.sentences.tokens
        if tokens is None:
            raise ValueError("the naive step encodes its sentences: give it tokens")
        pooled = self.net.text.pool(self.read(tokens.ids, tokens.mask), tokens.mask, align.sent_pool)
        embeddings = self.net.projection.sentences(pooled)
        seen = self.net.projection.patches(features.patches)
        regions = losses.nearest_patches(embeddings, seen[image_index], align.top_k)
        return losses.info_nce(regions, embeddings, image_index, align.temperature, align.l2)

    def report_loss(self, batch: Batch, features: VisionFeatures) -> Tensor:
        net, words, real = self.net, batch.report.ids, batch.report.mask
        fused = net.fusion(self.read(words, real), features)
        decoded = net.report_decoder.encoder(fused, real)
        logits = net.mlm_head(decoded.flatten(0, 1)).float()
        target = torch.full_like(words.flatten(), -100)
        target[batch.drawn["masked_at"]] = batch.drawn["masked_ids"]
        return cross_entropy(logits, target, ignore_index=-100)


def loop_optimizer(module: nn.Module, settings: OptimSettings) -> torch.optim.AdamW:
    """One parameter after the other; groups and figures as ours."""
    trained = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": settings.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.lr, betas=settings.betas, foreach=False, fused=False)
