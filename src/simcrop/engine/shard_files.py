"""A checkpoint of a module that is spread over processes, each of which writes its parts.

No axes or units. What lies on disk in the end is what one process would have written, though nobody ever holds all of
it. By torch.distributed.checkpoint (DCP): parts travel as safetensors, since DCP's other format is pickled. Its own way
to join those (torch 2.13) leaves zeros where a tensor has no axes, as the optimiser's count of steps has none.
"""

import json
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as dcp
from safetensors import safe_open
from torch import Tensor, nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.metadata import MetadataIndex

from simcrop.engine.sharding import Together, is_part, together_of
from simcrop.errors import SimcropError
from simcrop.files.tensors import refuse_misfit

PARTS = ".parts"


def on_cpu(tensor: Tensor, together: Together) -> Tensor:
    """A copy of a part, which stays a part of the same whole, in the computer's memory."""
    from torch.distributed.tensor import DTensor

    part: Any = tensor
    return DTensor.from_local(
        part.to_local().to("cpu", copy=True),
        together.mesh,
        part.placements,
        run_check=False,
        shape=part.shape,
        stride=part.stride(),
    )


@contextmanager
def failing_together(together: Together) -> Iterator[None]:
    """What fails in one process, fails in all of them with its words; they meet at the end of it."""
    mine: BaseException | None = None
    try:
        yield
    except (Exception, CheckpointException) as error:  # noqa: BLE001 - or the others wait for this process
        mine = error
    words = [said for said in together.each(None if mine is None else words_of(mine)) if said]
    if mine is not None and not isinstance(mine, (OSError, SimcropError, CheckpointException)):
        raise mine
    if words:
        raise OSError(words[0])


def words_of(error: BaseException) -> str:
    """The system's own, from under whatever was wrapped around it."""
    if isinstance(error, CheckpointException) and error.failures:
        return words_of(next(iter(error.failures.values()))[0])
    error = error.__cause__ or error
    words = error.strerror if isinstance(error, OSError) and error.strerror else error
    return str(words) or type(error).__name__


def write_parts(tensors: Mapping[str, Tensor], path: Path, together: Together) -> None:
    """Into `path` with another ending, each process its own; then `path`, by the main one, and the parts are gone."""
    folder = path.with_suffix(PARTS)
    with failing_together(together):
        writer = dcp.HuggingFaceStorageWriter(str(folder), save_distributed=True)
        dcp.save(dict(tensors), storage_writer=writer, process_group=together.group)
    with failing_together(together):
        if together.rank == 0:
            join_parts(folder, path)
            shutil.rmtree(folder)


def join_parts(folder: Path, path: Path) -> None:
    """One safetensors file of many, with one whole tensor in memory at a time."""
    found = dcp.HuggingFaceStorageReader(str(folder)).read_metadata()
    kinds: dict[str, Any] = found.state_dict_metadata
    # The library's own order: what needs more bytes a number comes first, so that all of it is aligned.
    names = sorted(kinds, key=lambda name: (-kinds[name].properties.dtype.itemsize, name))
    with ExitStack() as files, path.open("wb") as out:
        opened: dict[str, Any] = {}
        pieces: dict[str, list[tuple[Any, Any]]] = {}
        for name in names:
            for chunk in kinds[name].chunks:
                where = found.storage_data[MetadataIndex(name, chunk.offsets)].relative_path
                if where not in opened:
                    opened[where] = files.enter_context(safe_open(where, "pt"))
                pieces.setdefault(name, []).append((chunk, opened[where]))
        out.write(header_of({name: (pieces[name][0][1], kinds[name]) for name in names}))
        for name in names:
            whole = torch.empty(kinds[name].size, dtype=kinds[name].properties.dtype)
            for chunk, file in pieces[name]:
                there = tuple(slice(a, a + n) for a, n in zip(chunk.offsets, chunk.sizes, strict=True))
                whole[there] = file.get_tensor(name)
            out.write(whole.reshape(-1).view(torch.uint8).numpy().data)


def header_of(tensors: Mapping[str, tuple[Any, Any]]) -> bytes:
    """Of a safetensors file with these, one behind the other; each with a file that has a piece of it."""
    header, end = {}, 0
    for name, (file, kind) in tensors.items():
        start, end = end, end + kind.size.numel() * kind.properties.dtype.itemsize
        dtype = file.get_slice(name).get_dtype()
        header[name] = {"dtype": dtype, "shape": list(kind.size), "data_offsets": [start, end]}
    raw = json.dumps(header).encode()
    raw += b" " * (-len(raw) % 8)
    return len(raw).to_bytes(8, "little") + raw


def read_parts(
    path: Path, module: nn.Module, optimizer: torch.optim.Optimizer, names: Collection[str]
) -> None:
    """Of a checkpoint what belongs here, into the tensors of the module that `names` says and the optimiser."""
    together = together_of(module)
    assert together is not None
    wanted = {name: tensor.detach() for name, tensor in module.state_dict().items() if name in names}
    trained = {name: p for name, p in module.named_parameters() if p.requires_grad}
    try:
        with safe_open(path / "model.safetensors", "pt") as file:
            shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
        refuse_misfit(shapes, {name: list(tensor.shape) for name, tensor in wanted.items()})
        with safe_open(path / "optimizer.safetensors", "pt") as file:
            for name in file.keys():  # noqa: SIM118
                of, kind = name.rsplit(".", 1)
                parameter = trained[of]
                if is_part(parameter) and file.get_slice(name).get_shape() == list(parameter.shape):
                    wanted[name] = optimizer.state[parameter][kind] = torch.zeros_like(parameter).detach()
                else:
                    optimizer.state[parameter][kind] = file.get_tensor(name).to(parameter.device)
        reader = dcp.HuggingFaceStorageReader(str(path))
        dcp.load(wanted, storage_reader=reader, process_group=together.group)
    except CheckpointException as error:
        raise OSError(words_of(error)) from None
