"""What is ingested: a raw tree, its layout, and what the user says of it.

No axes or units.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simcrop.data.ingest.pseudonyms import Pseudonyms
from simcrop.data.layouts import Listing, ListingOptions, list_studies


@dataclass(frozen=True)
class RawSource:
    """`source` is absolute, so that it is found again from anywhere."""

    source: Path
    layout: str
    options: ListingOptions = field(default_factory=ListingOptions)

    def listing(self, key: Pseudonyms | None) -> Listing:
        """Everything there is to take, under the names it will have in the cohort."""
        listing = list_studies(self.layout, self.source, self.options)
        return listing if key is None else key.listing(listing)

    def settings(self, key: Pseudonyms | None) -> dict[str, Any]:
        """As the journal keeps it; of paths only their hashes where there is a key."""
        options: dict[str, Any] = {
            "reports": hidden(self.options.reports, key),
            "key": self.options.key,
            "split": self.options.split,
        }
        if self.options.rescale is not None:  # unsaid it is not there: older cohorts go on
            options["rescale"] = list(self.options.rescale)
        return {"layout": self.layout, "source": hidden(self.source, key), "options": options}


def hidden(path: Path | None, key: Pseudonyms | None) -> str | None:
    if path is None or key is None:
        return None if path is None else str(path)
    return key.of("path", str(path))


def source_of(settings: dict[str, Any]) -> RawSource:
    """What a journal without pseudonyms kept."""
    options = settings["options"]
    reports = Path(options["reports"]) if options["reports"] else None
    rescale = options.get("rescale")
    return RawSource(
        Path(settings["source"]),
        settings["layout"],
        ListingOptions(
            reports, options["key"], options["split"], (rescale[0], rescale[1]) if rescale else None
        ),
    )
