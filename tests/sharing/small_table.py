"""Table 1 at the smallest size: two columns, two rows, two steps."""

from simcrop.experiments.tables.columns import Column
from simcrop.experiments.tables.options import TableOptions
from simcrop.experiments.tables.phantoms import Patients

COLUMNS = {
    "table1": (
        Column("ct-rate-100", "ct-rate", "CT-RATE 100 %", "probe", 1.0, "auroc"),
        Column("luna16-dice-100", "luna16", "LUNA16 Dice 100 %", "segment", 1.0, "dice"),
    )
}
SPACING = (11, 11, 20)  # an eighth of the voxels
INPUT = (f"input.spacing_mm={list(SPACING)}", "input.shape=[32, 32, 16]")
NETWORK = (*INPUT, "optim.batch=4", "vision.dim=48", "vision.heads=2")
PATIENTS = Patients(ct_rate=30, choose=30, luna16=10)
STEPS = 2
RATES = (1.0, 2.0)
ASKED = TableOptions(seeds=1, common=(*NETWORK, "vision_decoder.depth=1", "checkpoint.every=1"))
