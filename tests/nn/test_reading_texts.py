"""Texts read together are what each is alone, even when there are none; and nothing is asked of the device for it."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from simcrop.data.samples.tokenizer import Tokenizer, Tokens
from simcrop.nn.text_encoder import Pool, read_text_encoder

TEXTS = ["a nodule in the left upper lobe of the left lung.", "no nodule."]


def tokens_of(folder: Path, texts: list[str]) -> Tokens:
    return Tokenizer.load(folder).encode(texts, 40)


@pytest.mark.parametrize("frozen", [True, False])
def test_texts_of_unlike_lengths_are_read_as_if_each_were_alone(tiny_bert: Path, frozen: bool) -> None:
    texts = ["", "no nodule.", TEXTS[0], "a cyst.", "", TEXTS[0] + " " + TEXTS[0]]
    text, tokens = read_text_encoder(tiny_bert, frozen).eval(), tokens_of(tiny_bert, texts)
    together = text(tokens.ids, tokens.mask, tokens.lengths)
    assert not together[0, -1].any()  # nothing was computed there
    for row, alone in zip(together, texts, strict=True):
        tokens = tokens_of(tiny_bert, [alone])
        expected = text.bert(tokens.ids, tokens.mask)[0]
        torch.testing.assert_close(row[: len(expected)], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("pool", ["mean", "cls", "proj128"])
def test_no_text_gives_no_rows_but_a_trained_encoder_zero_gradients(cxr_bert: Path, pool: Pool) -> None:
    # Or a process whose share has no text would never send the gradients that the others wait for.
    text, none = read_text_encoder(cxr_bert, frozen=False), tokens_of(cxr_bert, [])
    pooled = text.pool(text(none.ids, none.mask), none.mask, pool)
    assert pooled.shape == (0, text.width_of(pool))
    pooled.sum().backward()
    for name, parameter in text.named_parameters():
        assert (parameter.grad is not None) is (pool == "proj128" or not name.startswith("projection.")), name
        assert parameter.grad is None or not parameter.grad.any()
    frozen = read_text_encoder(cxr_bert)
    assert not frozen.pool(frozen(none.ids, none.mask), none.mask, pool).requires_grad


@pytest.mark.parametrize("texts", [TEXTS, TEXTS[1:]], ids=["padded", "nothing padded"])
def test_the_mask_is_never_asked_for_its_values(
    tiny_bert: Path, monkeypatch: pytest.MonkeyPatch, texts: list[str]
) -> None:
    """On a card the processor would wait there."""
    text, tokens = read_text_encoder(tiny_bert), tokens_of(tiny_bert, texts)

    def waited(*_: object) -> bool:
        raise AssertionError("a value was asked for")

    for asking in ("__bool__", "item", "tolist"):
        monkeypatch.setattr(Tensor, asking, waited)
    text(tokens.ids, tokens.mask, tokens.lengths)
