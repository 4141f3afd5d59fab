"""The base of every settings class: frozen, and strict about names and values."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Settings live beside the code they set. An unknown name or a bad value dies at construction.

    `free`: names of those that a run may change when it is continued, since they change nothing of what it learns.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)
    free: ClassVar[frozenset[str]] = frozenset()
