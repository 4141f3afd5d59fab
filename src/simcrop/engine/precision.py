"""In which precision a device multiplies well: bf16 where it has the instructions for it, else fp32.

No axes or units. A processor without them computes bf16 as well, but a product then takes up to sixty times as long.
"""

from typing import Literal

import torch

from simcrop.device import choose_device, processor_multiplies_bf16

Precision = Literal["bf16", "fp32"]


def settled(asked: Literal["auto"] | Precision, device: torch.device) -> Precision:
    """What was asked for; for `auto`, what suits the device."""
    if asked != "auto":
        return asked
    if device.type == "cuda":
        return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp32"
    return "bf16" if processor_multiplies_bf16() else "fp32"


def best_precision() -> Precision:
    """Of the device that a run would choose here."""
    return settled("auto", choose_device())
