"""Which device computes, and how tensors get there: the first CUDA device where there is one, else the processor.

No axes or units. `auto` is what every verb takes; `CUDA_VISIBLE_DEVICES=` hides the cards from all of them.
"""

import torch
from torch import Tensor

from simcrop.errors import SimcropError

AUTO = "auto"


def choose_device(asked: str | torch.device = AUTO) -> torch.device:
    """`auto`, or a name as torch spells it: `cpu`, `cuda`, `cuda:1`. Raises SimcropError for one that is not here."""
    cuda = torch.cuda.is_available()
    if asked == AUTO:
        return torch.device("cuda", 0) if cuda else torch.device("cpu")
    try:
        device = torch.device(asked)
    except RuntimeError as error:
        raise SimcropError("no-device", f"{asked!r} is no device: auto, cpu, cuda or cuda:N") from error
    if device.type not in {"cpu", "cuda"}:
        raise SimcropError("no-device", f"{asked!r}: simcrop computes on cpu and cuda devices only")
    found = torch.cuda.device_count() if cuda else 0
    if device.type == "cuda" and (device.index or 0) >= found:
        raise SimcropError("no-device", f"{asked!r}: torch sees {found} CUDA devices here")
    return device


def send(tensor: Tensor, device: torch.device | str) -> Tensor:
    """A tensor just made on the processor, on its way to `device`: neither side waits for the other."""
    if torch.device(device).type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def processor_multiplies_bf16() -> bool:
    """AVX-512 BF16 or AMX; torch tells under names that are not public yet, so a missing one means no."""
    asked = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in asked)


def numbers_at_hand(tensor: Tensor) -> bool:
    """Whether compiled loops can read them: on the processor, and not of a tensor that has a shape and nothing else, by
    which the operations of a step are counted.
    """
    return tensor.device.type == "cpu" and type(tensor) is Tensor
