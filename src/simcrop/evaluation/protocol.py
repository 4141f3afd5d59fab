"""How others ask for a label in words: a data file each, whose name says whose it is."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Literal

import yaml
from pydantic import ValidationError

from simcrop.errors import SimcropError
from simcrop.settings import Settings

Pair = tuple[str, str]  # what says that it is there, and what says that it is not


class Protocol(Settings):
    """`templates`: pairs in which `{label}` stands for the name; of several the vectors are averaged. `questions`:
    pairs of a label's own, of which the one that is answered most clearly counts. `without`: labels that are not
    asked for. `volumes`: every scan of an examination, or the first one.
    """

    whose: str
    templates: tuple[Pair, ...] = ()
    questions: Mapping[str, tuple[Pair, ...]] = {}
    without: tuple[str, ...] = ()
    volumes: Literal["all", "first"] = "all"
    note: str = ""

    def labels_of(self, known: Sequence[str]) -> list[str]:
        """Those of the labels that it asks for."""
        asked = self.questions or known
        return [name for name in known if name in asked and name not in self.without]

    def pairs_of(self, label: str) -> tuple[Pair, ...]:
        """The sentences about one label: variants of one question, or questions of its own."""
        if self.questions:
            return self.questions[label]
        return tuple((yes.format(label=label), no.format(label=label)) for yes, no in self.templates)


def protocol_names() -> list[str]:
    """Those that are shipped."""
    names = (entry.name for entry in files("simcrop.protocols").iterdir())
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


def read_protocol(name: str) -> Protocol:
    """A shipped protocol by name, or a YAML file of one's own; of an unknown one the nearest name is proposed."""
    if name in protocol_names():
        text = files("simcrop.protocols").joinpath(f"{name}.yaml").read_text("utf-8")
    else:
        try:
            text = Path(name).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            near = get_close_matches(name, protocol_names(), 1, 0)
            raise SimcropError(
                "bad-setting",
                f"no protocol {name!r}; did you mean {near[0]}? Shipped: {', '.join(protocol_names())}",
            ) from error
    try:
        protocol = Protocol.model_validate(yaml.safe_load(text))
        asks = [pair for pairs in (protocol.templates, *protocol.questions.values()) for pair in pairs]
        broken = [yes for pair in protocol.templates for yes in pair if yes.format(label="x") == yes]
    except (yaml.YAMLError, ValidationError, KeyError, IndexError, ValueError) as error:
        raise SimcropError("bad-setting", f"{name} is no protocol ({str(error).splitlines()[0]})") from error
    if not asks or broken or (protocol.templates and protocol.questions):
        why = "a template without {label}" if broken else "expected either templates or questions"
        raise SimcropError("bad-setting", f"{name} is no protocol ({why})")
    return protocol
