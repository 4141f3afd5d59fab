"""What was computed and may be wanted again: the latest of it, bounded in bytes; two that want the same wait for one.

Sizes in bytes.
"""

from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """Values by name; `size` says how many bytes one holds. What is larger than all the room is not kept."""

    def __init__(self, room: int, size: Callable[[T], int]) -> None:
        self.room, self.size = room, size
        self.values: OrderedDict[str, T] = OrderedDict()
        self.used = 0
        self.lock, self.making = Lock(), dict[str, Lock]()

    def find(self, name: str) -> T | None:
        with self.lock:
            if name in self.values:
                self.values.move_to_end(name)
            return self.values.get(name)

    def get(self, name: str, make: Callable[[], T]) -> T:
        """The value, made if need be, by one thread only."""
        found = self.find(name)
        if found is not None:
            return found
        with self.lock:
            turn = self.making.setdefault(name, Lock())
        with turn:
            found = self.find(name)
            try:
                return found if found is not None else self.put(name, make())
            finally:
                with self.lock, suppress(KeyError):
                    del self.making[name]

    def put(self, name: str, value: T) -> T:
        size = self.size(value)
        with self.lock:
            if name in self.values:
                self.used -= self.size(self.values.pop(name))
            if size > self.room:
                return value
            self.values[name] = value
            self.used += size
            while self.used > self.room:
                _, gone = self.values.popitem(last=False)
                self.used -= self.size(gone)
        return value

    def drop_all(self, gone: Callable[[T], bool]) -> None:
        """Every value of which this is true."""
        with self.lock:
            names = [name for name, value in self.values.items() if gone(value)]
        for name in names:
            self.drop(name)

    def drop(self, name: str) -> None:
        with self.lock:
            if name in self.values:
                self.used -= self.size(self.values.pop(name))
