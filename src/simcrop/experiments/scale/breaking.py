"""Which part of a cluster is full first: what is needed over what there is. No axes; GB/s of 10^9 bytes.

What there is, nobody has said: a machine is assumed (`speeds.yaml`), and its figures are printed.
"""

from dataclasses import dataclass

from simcrop.experiments.scale.feeding import Feeding
from simcrop.experiments.scale.memory import Memory
from simcrop.experiments.scale.request import PlanRequest
from simcrop.experiments.speeds import speeds


@dataclass(frozen=True)
class Part:
    """`load`: needed over there, above 1 broken."""

    name: str
    needed: float
    there: float
    unit: str
    of: str

    @property
    def load(self) -> float:
        return self.needed / self.there


def parts_of(
    asked: PlanRequest, feeding: Feeding, memory: Memory, gradients_gb: float, step_seconds: float
) -> tuple[Part, ...]:
    """The fullest first."""
    machine = speeds().machine
    together = min(asked.gpus, machine.gpus)
    here = asked.gpus <= machine.gpus
    network = asked.device.link_gb_per_s if here else machine.network_gb_per_s_per_gpu
    sent = 2 * (asked.gpus - 1) / asked.gpus * gradients_gb / step_seconds
    parts = (
        Part("disk", feeding.gb_per_s * together, machine.disk_gb_per_s, "GB/s", "each machine"),
        Part("cores", feeding.cores, float(machine.cores_per_gpu), "cores", "each GPU"),
        Part("GPU memory", memory.used_gb, memory.free_gb, "GB", "each GPU"),
        Part(
            "network",
            sent,
            network,
            "GB/s",
            "each GPU, " + ("within a machine" if here else "between machines"),
        ),
    )
    return tuple(sorted(parts, key=lambda part: part.load, reverse=True))
