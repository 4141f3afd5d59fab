"""How much the viewer takes in, holds and waits for.

Sizes in bytes, times in seconds.
"""

from dataclasses import dataclass

MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """Every bound in one place, so that a test can make it small.

    `voxels`: of a scan as it is shown; beyond it is thinned. `inflated`: of an upload once it is unpacked.
    """

    body: int = 256 << 10
    body_s: float = 15.0
    upload: int = 2048 * MIB
    upload_files: int = 5000
    upload_s: float = 900.0
    silence_s: float = 30.0
    inflated: int = 4096 * MIB
    headers_s: float = 10.0
    write_s: float = 60.0
    connections: int = 400
    waiting: int = 32
    jobs: int = 256
    uploads: int = 8
    exports: int = 8
    readers: int = 4
    voxels: int = 80_000_000
    shown: int = 768 * MIB
    features: int = 1024 * MIB
    maps: int = 128 * MIB
    texts: int = 4096
    boxes: int = 256
    regions: int = 200
