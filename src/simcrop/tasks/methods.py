"""`simcrop methods`: every method, what it asks for and what a step of it costs."""

from simcrop.tasks.cost import Cost, cost_of

__all__ = ["Cost", "cost_of"]
