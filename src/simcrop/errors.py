"""What went wrong, for the person who can repair it: a reason code and one plain sentence."""


class SimcropError(Exception):
    """Wrong usage or unusable input. Ends a command with exit code 2, or becomes one ledger entry.

    `reason` is a short code in kebab-case that scripts can count (`truncated-file`, `missing-slices`);
    `sentence` says what was wrong, where, and what was expected, in one line. A sentence names files and
    headers; it never carries a patient's name or a line of a report.
    """

    def __init__(self, reason: str, sentence: str) -> None:
        sentence = printable(sentence)
        super().__init__(sentence)
        self.reason = reason
        self.sentence = sentence

    def __reduce__(self) -> tuple[type["SimcropError"], tuple[str, str]]:
        return type(self), (self.reason, self.sentence)


class AgreedError(SimcropError):
    """Which all processes of a run raise together, in the same words."""


class ToldError(SimcropError):
    """Which another process of the run tells: this one ends likewise, without a word."""


def printable(text: str) -> str:
    """One line that any terminal, table and JSON can hold: names of files may be bytes that are no text."""
    line = " ".join(text.split())
    if line.isprintable():
        return line
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in line
    )
