"""`engine.precision = auto`: bf16 where the device has instructions for it, and only there."""

import pytest
import torch

from simcrop.engine.precision import processor_multiplies_bf16, settled

CPU, GPU = torch.device("cpu"), torch.device("cuda", 1)


@pytest.mark.parametrize("asked", ["bf16", "fp32"])
def test_what_is_asked_for_is_what_one_gets(asked: str) -> None:
    assert settled(asked, CPU) == settled(asked, GPU) == asked  # type: ignore[arg-type]


@pytest.mark.parametrize(("avx512", "amx", "fits"), [(0, 0, "fp32"), (1, 0, "bf16"), (0, 1, "bf16")])
def test_processor_decides(avx512: int, amx: int, fits: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bool(avx512))
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: bool(amx))
    assert settled("auto", CPU) == fits


def test_a_torch_that_cannot_tell_means_no(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, name, raising=False)
    assert not processor_multiplies_bf16()


@pytest.mark.parametrize(("capability", "fits"), [((7, 5), "fp32"), ((8, 0), "bf16"), ((9, 0), "bf16")])
def test_card_decides(capability: tuple[int, int], fits: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert settled("auto", GPU) == fits
