"""What the numbers in masks stand for, as JSON files say it: `{"1": "left lung"}`, or nnU-Net's `{"left lung": 1}`.

No axes or units. 0 is the background, whatever it is called.
"""

from pathlib import Path

from simcrop.data.label_volume import LARGEST
from simcrop.errors import SimcropError

LONGEST = 80  # characters of a name


def classes_of(told: object, path: Path) -> dict[int, str]:
    """The classes without the background, ascending; their names differ."""
    if not isinstance(told, dict):
        raise bad(path, f'expected an object such as {{"1": "left lung"}}, found {type(told).__name__}')
    classes: dict[int, str] = {}
    for key, value in told.items():
        number, name = (value, key) if isinstance(value, int) else (key, value)
        number, name = whole(number), " ".join(name.split()) if isinstance(name, str) else ""
        if number is None or not name or len(name) > LONGEST:
            raise bad(
                path, f"a class is a number from 0 to {LARGEST} and a name of 1 to {LONGEST} characters"
            )
        if number in classes:
            raise bad(path, f"class {number} has two names")
        classes[number] = name
    classes.pop(0, None)
    if not classes or len(set(classes.values())) < len(classes):
        raise bad(path, "two classes have one name" if classes else "it names no class beside the background")
    return dict(sorted(classes.items()))


def whole(number: object) -> int | None:
    """The number of a class, if it is one."""
    if isinstance(number, str) and number.strip().isdecimal():
        number = int(number)
    return number if isinstance(number, int) and 0 <= number <= LARGEST else None


def bad(path: Path, what: str) -> SimcropError:
    return SimcropError("bad-json", f"{path}: the names of classes: {what}")
