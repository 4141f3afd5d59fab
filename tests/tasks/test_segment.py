"""`simcrop segment` at toy size: phantoms with lungs, a run, its judgement; killed, resumed, and refused."""

TOY = (
    "input.shape=[16, 16, 8]",
    "input.spacing_mm=[16, 14, 24]",
    "input.patch=[4, 4, 2]",
    "vision.depth=2",
    "vision.dim=24",
    "vision.heads=2",
    "decoder.feature_size=4",
    "optim.steps=3",
    "optim.batch=4",
)
