"""The base of every settings class: frozen, and strict about names and values."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Settings live beside the code they set. An unknown name or a bad value dies at construction."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)
