"""Ids and patients as hashes with a salt of the cohort's own, so that nothing in it names a person or a path.

No axes or units. The salt lies in the cohort, in `pseudonyms.key`, readable by its owner alone. Whoever has it and a
list of names can tell who is who; the same salt gives the same names again. The words of reports stay as they are.
"""

import errno
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from simcrop.data.guess import GUESSED, shown
from simcrop.data.layouts.raw import Listing, RawStudy, Refusal
from simcrop.data.readers.reasons import MASK_REASONS, SCAN_REASONS
from simcrop.errors import SimcropError
from simcrop.files.whole import TEMPORARY, writing

KEY = "pseudonyms.key"
LINKLESS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP)  # as on exFAT, FAT and some shares
SALT_BYTES, LENGTH = 32, 16  # 64 bits of a hash: two of a million names are the same once in 10^7 cohorts
REASONS = (
    SCAN_REASONS
    | MASK_REASONS
    | {
        "worker-died": "the process that read it was killed, perhaps for its memory",
        "no-volume": "a row of a table without its scan",
        "not-text": "a report that is no UTF-8 text, or too long for one",
        "stray-report": "a text or a table that looks like reports and is not read",
        "hidden": "scans in a trash or another hidden folder",
        "duplicate-row": "rows of a table that name one scan and differ",
        "spread-series": "slices of one series that lie in several folders",
        "no-chest": "on the data set's list of volumes that show no chest",
        "name-not-utf8": "a file or folder whose name is no UTF-8 text",
        "bad-name": "not the name or place that the layout expects",
        "duplicate-name": "another scan has the same name",
    }
)


@dataclass(frozen=True)
class Pseudonyms:
    """The names that one salt gives."""

    salt: bytes = field(repr=False)

    def of(self, kind: str, name: str) -> str:
        """16 hexadecimal digits for a name of some kind, such as an id."""
        words = f"{kind}\t{name}".encode(errors="surrogateescape")
        return hmac.new(self.salt, words, hashlib.sha256).hexdigest()[:LENGTH]

    @property
    def fingerprint(self) -> str:
        """Tells one salt from another and gives none away."""
        return self.of("key", "")

    def listing(self, listing: Listing) -> Listing:
        """The same inputs in the order of their new names. Only where a scan lies stays, for the one who reads it."""
        studies = sorted((self.study(study) for study in listing.studies), key=lambda study: study.id)
        refusals = sorted((self.refusal(r) for r in listing.refusals), key=lambda r: (r.name, r.reason))
        split = listing.split
        if split is not None:
            split = replace(split, parts={self.of("patient", p): part for p, part in split.parts.items()})
        return replace(listing, studies=tuple(studies), refusals=tuple(refusals), split=split)

    def study(self, study: RawStudy) -> RawStudy:
        names = {
            study.id,
            study.patient,
            study.scan,
            *study.path.parts,
            *(study.mask.parts if study.mask else ()),
        }
        return replace(
            study,
            id=self.of("id", study.id),
            patient=self.of("patient", study.patient),
            scan=self.of("scan", study.scan),
            notes=without_names(study.notes, names),
        )

    def refusal(self, refusal: Refusal) -> Refusal:
        name, reason = self.of("id", refusal.name), refusal.reason
        return Refusal(name, None, reason, meaning(reason), refusal.kind, refusal.count)


def meaning(reason: str) -> str:
    """What a refusal says when it must not name its file."""
    return REASONS.get(reason, "this input could not be used")


def without_names(notes: tuple[str, ...], names: Iterable[str]) -> tuple[str, ...]:
    """Notes up to their first colon, behind which headers are quoted, and none with a word of any of the names.

    Guesses stay: their words are always the same.
    """
    private = {word for name in names for word in words_of(name)}
    short = (shown(note) for note in notes)
    return tuple(note for note in short if note.startswith(GUESSED) or not private & words_of(note))


def words_of(text: str) -> set[str]:
    """Runs of letters and digits, lower case, that are long enough to tell something."""
    return {word for word in re.findall(r"[^\W_]+", text.lower()) if len(word) > 2}


def read_key(out: Path) -> Pseudonyms | None:
    """The cohort's own, if it has one."""
    path = out / KEY
    try:
        salt = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise SimcropError("bad-key", f"{path}: cannot be read, expected a key of simcrop ingest") from error
    if len(salt) != SALT_BYTES:
        raise SimcropError("bad-key", f"{path}: {len(salt)} bytes, expected {SALT_BYTES}")
    return Pseudonyms(salt)


def lost_key(out: Path) -> SimcropError:
    return SimcropError(
        "lost-key", f"{out / KEY}: gone or of another cohort; without it what was begun cannot go on"
    )


def new_key() -> Pseudonyms:
    return Pseudonyms(secrets.token_bytes(SALT_BYTES))


def write_key(path: Path, key: Pseudonyms) -> None:
    """Into a new file, for the owner alone where the file system knows of owners."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(key.salt.hex() + "\n")
        file.flush()
        os.fsync(file.fileno())


def save_key(out: Path, key: Pseudonyms) -> Pseudonyms:
    """`key` in its file, for the owner alone; when somebody else was first, theirs, which all must use."""
    path, temporary = out / KEY, out / f".{KEY}.{os.getpid()}.{secrets.token_hex(4)}{TEMPORARY}"
    with writing(path):
        out.mkdir(parents=True, exist_ok=True)
        try:
            write_key(temporary, key)
            with suppress(FileExistsError):  # somebody else was first
                try:
                    os.link(temporary, path)
                except OSError as error:
                    if error.errno not in LINKLESS:
                        raise
                    write_key(path, key)
        finally:
            temporary.unlink(missing_ok=True)
    saved = read_key(out)
    assert saved is not None
    return saved
