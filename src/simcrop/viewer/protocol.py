"""HTTP connections that nobody can hold open for nothing: headers come within seconds, and there are only so many.

Times in seconds. What uvicorn itself limits is the pause between two requests; a request whose headers drip in byte by
byte would hold its connection for ever, and so would an answer that nobody takes.
"""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.h11_impl import H11Protocol

from simcrop.viewer.limits import Limits


def protocol_with(limits: Limits) -> type[H11Protocol]:
    """The protocol that keeps to these limits."""

    class Bounded(H11Protocol):
        """One connection."""

        hurry: asyncio.TimerHandle | None = None
        untaken: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(cast(Any, transport))
            self.access_log = False  # whoever configures the root of all logs gets no addresses of studies
            if len(self.connections) > limits.connections:
                self.transport.abort()
            else:
                self.watch()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.watch()

        def on_response_complete(self) -> None:
            """What is left of a body that was refused, or the half of the next request, has its time as well."""
            super().on_response_complete()
            if not self.transport.is_closing():
                self.watch()

        def pause_writing(self) -> None:
            """A client that takes nothing of an answer is left, whatever it asked for: a file of the page, too."""
            super().pause_writing()
            self.untaken = self.loop.call_later(limits.write_s, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            self.taken()

        def taken(self) -> None:
            if self.untaken is not None:
                self.untaken.cancel()
                self.untaken = None

        def connection_lost(self, exc: Exception | None) -> None:
            self.unwatch()
            self.taken()
            super().connection_lost(exc)

        def watch(self) -> None:
            """Between requests the clock runs; while one is answered its body has a clock of its own."""
            if self.cycle is not None and not self.cycle.response_complete:
                self.unwatch()
            elif self.hurry is None:
                self.hurry = self.loop.call_later(limits.headers_s, self.give_up)

        def unwatch(self) -> None:
            if self.hurry is not None:
                self.hurry.cancel()
                self.hurry = None

        def give_up(self) -> None:
            self.hurry = None
            if self.cycle is None or self.cycle.response_complete:
                self.transport.abort()

    return Bounded
