"""How others ask for a label in words: a data file each, whose name says whose it is."""

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import model_validator

from simcrop.evaluation.shipped import read_settings
from simcrop.settings import Settings

PACKAGE = "simcrop.protocols"
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

    @model_validator(mode="after")
    def asks_something(self) -> "Protocol":
        """Of every label, by its name or by questions of its own."""
        if bool(self.templates) == bool(self.questions):
            raise ValueError("expected either templates or questions")
        if silent := [label for label, pairs in self.questions.items() if not pairs]:
            raise ValueError(f"no question about {silent[0]!r}")
        for sentence in (sentence for pair in self.templates for sentence in pair):
            try:
                named = sentence.format(label="x") != sentence
            except (KeyError, IndexError, ValueError) as error:
                raise ValueError(f"a template with other braces than {{label}}: {sentence!r}") from error
            if not named:
                raise ValueError("a template without {label}")
        return self

    def labels_of(self, known: Sequence[str]) -> list[str]:
        """Those of the labels that it asks for."""
        asked = self.questions or known
        return [name for name in known if name in asked and name not in self.without]

    def pairs_of(self, label: str) -> tuple[Pair, ...]:
        """The sentences about one label: variants of one question, or questions of its own."""
        if self.questions:
            return self.questions[label]
        return tuple((yes.format(label=label), no.format(label=label)) for yes, no in self.templates)


def read_protocol(name: str) -> Protocol:
    """A shipped protocol by name, or a YAML file of one's own; of an unknown one the nearest name is proposed."""
    return read_settings(Protocol, "protocol", PACKAGE, name)
