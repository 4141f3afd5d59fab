"""BTCV's tree as studies: a tree in the Decathlon's style, with 13 organs as masks.

No axes or units. Some of its lists call the organs by abbreviations, which are spelled out, and some not at all.
"""

from dataclasses import replace
from pathlib import Path

from simcrop.data.layouts.decathlon import list_decathlon
from simcrop.data.layouts.raw import Listing

ORGANS = (
    *("spleen", "right kidney", "left kidney", "gallbladder", "esophagus", "liver", "stomach", "aorta"),
    *(
        "inferior vena cava",
        "portal and splenic veins",
        "pancreas",
        "right adrenal gland",
        "left adrenal gland",
    ),
)
"""From 1 on."""
SHORT = {
    "rkid": "right kidney",
    "lkid": "left kidney",
    "gall": "gallbladder",
    "eso": "esophagus",
    "sto": "stomach",
    "IVC": "inferior vena cava",
    "veins": "portal and splenic veins",
    "rad": "right adrenal gland",
    "lad": "left adrenal gland",
}


def list_btcv(source: Path) -> Listing:
    """Every volume that the JSON names and that is there."""
    listing = list_decathlon(source)
    named = listing.classes or dict(enumerate(ORGANS, 1))
    return replace(listing, classes={number: SHORT.get(name, name) for number, name in named.items()})
