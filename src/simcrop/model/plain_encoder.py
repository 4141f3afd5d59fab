"""The encoder of a trained model as a plain `nn.Module`, to be trained further in a loop of one's own.

Axes: b scan, n patch (gx slowest, gz fastest), x y z voxels (right, front, up), d features.
"""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from simcrop.data.preprocess import InputSpec, preprocess
from simcrop.errors import SimcropError
from simcrop.model.folder import load
from simcrop.model.scans import Scan, volume_of
from simcrop.nn.encoder import VisionEncoder
from simcrop.nn.patch import PatchGrid


class Encoder(nn.Module):
    """`encoder(volumes)` gives the features of all patches, nothing masked. `dim`: how many each has; `grid`: where the
    patches lie in the input (`grid.volume` voxels, `grid.shape` patches); `spec`: the preprocessing. `vision` are the
    weights, named in `state_dict` as in the model's folder.
    """

    def __init__(self, vision: VisionEncoder, spec: InputSpec) -> None:
        super().__init__()
        self.vision, self.spec = vision, spec

    def forward(self, volume: Float[Tensor, "*shape"]) -> Float[Tensor, "b n d"]:
        """Tokens `(b, n, d)` of inputs `(b, 1, x, y, z)` in [-1, 1], by `prepare` or cut as it cuts. Precision and
        device are the caller's: autocast, `.to(...)`. Raises SimcropError for another shape.
        """
        if volume.ndim != 5 or volume.shape[1:] != (1, *self.grid.volume):
            raise wrong_shape(tuple(volume.shape), self.grid.volume)
        return self.vision.tokens(volume).patches

    def prepare(self, scan: Scan) -> Float[Tensor, "1 x y z"]:
        """One scan, a path or a Volume, as it must be shown: resampled, cut or padded, windowed to [-1, 1]; float32 on
        the processor, for a Dataset. `torch.stack` of some is what `forward` takes. Raises SimcropError for a scan that
        cannot be read.
        """
        return preprocess(volume_of(scan), self.spec)[0]

    @property
    def dim(self) -> int:
        """Features of a token, 768 at paper size."""
        return self.vision.width

    @property
    def grid(self) -> PatchGrid:
        """`grid.volume`: voxels of the input along x, y, z; `grid.shape`: patches; `grid.count`: tokens."""
        return self.vision.grid


def encoder(path: str | Path, device: str | torch.device = "cpu") -> Encoder:
    """The encoder of whatever `simcrop.load` takes, ready to be fine-tuned: in train mode, every parameter with a
    gradient; on the processor, as every module begins, unless another `device` is asked for.

    Raises SimcropError where `load` does: for a path that is no model, and for one of `simcrop segment`, whose encoder
    belongs to its decoder.
    """
    model = load(path, device)
    return Encoder(model.vision, model.spec).requires_grad_(True).train()


def wrong_shape(found: tuple[int, ...], voxels: tuple[int, int, int]) -> SimcropError:
    """In one line what came and what is wanted, and how the one becomes the other where that is plain."""
    hint = ": one scan wants [None] in front" if found == (1, *voxels) else ""
    wanted = ", ".join(map(str, ("b", 1, *voxels)))
    got = ", ".join(map(str, found))
    return SimcropError("wrong-shape", f"the encoder reads volumes of ({wanted}), got ({got}){hint}")
