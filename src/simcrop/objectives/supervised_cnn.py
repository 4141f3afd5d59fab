"""The labels taught to a network of convolutions: a second ceiling, of an eye that is not cut into patches.

No axes of its own: `supervised.py` with another encoder.
"""

from typing import ClassVar

from simcrop.nn.cnn import CnnSettings
from simcrop.objectives.method import Account
from simcrop.objectives.supervised import SupervisedSettings


class SupervisedCnnSettings(SupervisedSettings):
    """Encoder and head."""

    name: ClassVar[str] = "supervised-cnn"
    architecture: ClassVar[tuple[str, ...]] = ()
    account: ClassVar[Account] = Account(needs="labels", source="ours, a ceiling: convolutions")

    vision: CnnSettings = CnnSettings()  # pyright: ignore[reportIncompatibleVariableOverride]
