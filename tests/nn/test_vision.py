"""The encoder and the decoder on a grid of 2 x 4 x 3 patches."""

import pytest
import torch
from torch import nn

from simcrop.errors import SimcropError
from simcrop.nn.encoder import VisionFeatures
from simcrop.nn.masking import Mask, random_mask
from simcrop.nn.patch import PatchGrid
from simcrop.nn.vision_decoder import VisionDecoder, VisionDecoderSettings
from simcrop.nn.vit import VisionSettings, ViT

GRID = PatchGrid(volume=(6, 20, 21), patch=(3, 5, 7))
VISION = VisionSettings(depth=2, dim=36, heads=3)
DECODER = VisionDecoderSettings(depth=1, dim=30, heads=2)


def encoder(**changes: object) -> ViT:
    torch.manual_seed(0)
    return ViT(VISION.model_copy(update=changes), GRID).eval()


def mask(batch: int = 2) -> Mask:
    return random_mask(torch.rand(batch, GRID.count, generator=torch.Generator().manual_seed(1)), 0.75)


def test_keeping_first_gives_what_embedding_first_with_a_convolution_gives() -> None:
    vision, drawn = encoder(), mask()
    volume = torch.randn(2, 1, 6, 20, 21)
    convolution = nn.Conv3d(1, 36, kernel_size=GRID.patch, stride=GRID.patch)
    with torch.no_grad():
        convolution.weight.copy_(vision.patch_embed.weight.reshape(36, 1, *GRID.patch))
        assert convolution.bias is not None
        convolution.bias.copy_(torch.randn(36))
        vision.patch_embed.bias.copy_(convolution.bias)
        tokens = convolution(volume).flatten(2).transpose(1, 2) + vision.position
        kept = torch.stack([tokens[b, drawn.keep[b]] for b in range(2)])
        assert vision.cls_token is not None
        slow = vision.transformer(torch.cat([vision.cls_token.expand(2, 1, 36), kept], 1))
        fast = vision(volume, drawn)
    assert fast.cls is not None
    torch.testing.assert_close(fast.patches, slow[:, 1:], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(fast.cls, slow[:, 0], atol=1e-5, rtol=1e-5)


def test_pooled_feature_is_the_mean_of_patches_without_cls() -> None:
    features = encoder().encode(torch.randn(2, GRID.count, GRID.voxels))
    torch.testing.assert_close(features.pooled, features.patches.mean(1))
    moved = VisionFeatures(torch.full((2, 36), 1e6), features.patches)
    assert torch.equal(moved.pooled, features.pooled)


def test_encoder_does_not_see_a_masked_voxel_and_the_vision_decoder_neither() -> None:
    vision, drawn = encoder(), mask()
    vision_decoder = VisionDecoder(DECODER, VISION.dim, GRID).eval()
    patches = torch.randn(2, GRID.count, GRID.voxels)
    changed = torch.where(drawn.masked[..., None], torch.randn_like(patches), patches)
    reconstruction, again = (vision_decoder(vision.encode(p, drawn), drawn) for p in (patches, changed))
    assert reconstruction.shape == patches.shape
    assert torch.equal(reconstruction, again)


def test_vision_decoder_sees_every_visible_patch() -> None:
    vision, drawn = encoder(), mask(1)
    vision_decoder = VisionDecoder(DECODER, VISION.dim, GRID).eval()
    patches = torch.randn(1, GRID.count, GRID.voxels, requires_grad=True)
    vision_decoder(vision.encode(patches, drawn), drawn)[drawn.masked].square().sum().backward()
    assert patches.grad is not None
    touched = patches.grad.abs().sum(-1) > 0
    assert torch.equal(touched, ~drawn.masked)


def test_mask_tokens_in_one_column_are_reconstructed_differently_at_different_depths() -> None:
    vision, drawn = encoder(), mask(1)
    reconstruction = VisionDecoder(DECODER, VISION.dim, GRID).eval()(
        vision.encode(torch.randn(1, GRID.count, GRID.voxels), drawn), drawn
    )
    assert len(torch.unique(reconstruction[0][drawn.masked[0]], dim=0)) == int(drawn.masked.sum())


def test_one_by_one_equals_batched() -> None:
    vision, drawn = encoder(), mask(3)
    patches = torch.randn(3, GRID.count, GRID.voxels)
    together = vision.encode(patches, drawn).patches
    for b in range(3):
        single = Mask(drawn.keep[b : b + 1], drawn.masked[b : b + 1])
        torch.testing.assert_close(
            vision.encode(patches[b : b + 1], single).patches[0], together[b], atol=1e-5, rtol=1e-5
        )


def test_no_mask_shows_every_patch() -> None:
    vision = encoder()
    patches = torch.randn(2, GRID.count, GRID.voxels)
    everything = random_mask(torch.rand(2, GRID.count, generator=torch.Generator()), 0.0)
    assert not everything.masked.any()
    assert vision.encode(patches).patches.shape == (2, GRID.count, 36)
    assert torch.equal(vision.encode(patches).patches, vision.encode(patches, everything).patches)


def test_encoder_can_do_without_cls() -> None:
    vision = encoder(cls_token=False)
    features = vision.encode(torch.randn(2, GRID.count, GRID.voxels), mask())
    assert features.cls is None
    assert "cls_token" not in dict(vision.named_parameters())
    assert VisionDecoder(DECODER, VISION.dim, GRID)(features, mask()).shape == (2, GRID.count, GRID.voxels)


def test_only_learned_positions_are_trained_and_they_start_as_sines() -> None:
    fixed, learned = encoder(), encoder(pos_embed="learned")
    assert "position" not in fixed.state_dict()
    assert "position" in dict(learned.named_parameters())
    assert torch.equal(learned.position, fixed.position)


def test_recomputing_activations_changes_no_gradient() -> None:
    gradients = []
    for recompute in (False, True):
        vision = encoder().train()
        vision.transformer.recompute = recompute
        torch.manual_seed(3)
        vision.encode(torch.randn(2, GRID.count, GRID.voxels), mask()).pooled.square().sum().backward()
        gradients.append(vision.patch_embed.weight.grad)
    assert torch.equal(gradients[0], gradients[1])


def test_heads_that_do_not_divide_the_features_are_refused() -> None:
    with pytest.raises(SimcropError, match=r"vision\.dim = 36 .* vision\.heads = 5"):
        VisionSettings(depth=2, dim=36, heads=5)
    with pytest.raises(SimcropError, match=r"vision_decoder\.dim = 30 .* vision_decoder\.heads = 4"):
        VisionDecoderSettings(depth=1, dim=30, heads=4)
