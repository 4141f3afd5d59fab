"""Which methods there are: one in each file of this folder that has settings with a name. No list is kept.

No axes or units.
"""

from importlib import import_module
from inspect import isclass
from pkgutil import iter_modules
from types import ModuleType

from simcrop import objectives
from simcrop.objectives.method import MethodSettings


def methods() -> dict[str, type[MethodSettings]]:
    """Settings of every method by its name, in the order of the names."""
    found = [
        settings
        for file in iter_modules(objectives.__path__)
        for settings in methods_in(import_module(f"{objectives.__name__}.{file.name}"))
    ]
    return {settings.name: settings for settings in sorted(found, key=lambda kind: kind.name)}


def methods_in(module: ModuleType) -> list[type[MethodSettings]]:
    """Settings that the module itself defines and names."""
    return [
        value
        for value in vars(module).values()
        if isclass(value)
        and issubclass(value, MethodSettings)
        and value.__module__ == module.__name__
        and "name" in vars(value)
    ]
