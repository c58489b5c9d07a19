"""Who looks at which page, and what they may read: what a door tells the pages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from headgate.server.pages.links import Links
from headgate.store.entities import RunContext
from headgate.store.errors import Terminal


class NotAllowed(Terminal):
    """The reader may not see this."""


class Reader(Protocol):
    """What somebody may read. A run belongs to its pipeline; what the registry holds belongs to everybody."""

    def may_read(self, context: RunContext) -> bool:
        """Return whether runs of this context, and what they recorded, may be shown."""


class Everything:
    """The reader who may read everything: of a server that has no rights of its own to ask for."""

    def may_read(self, context: RunContext) -> bool:
        del context
        return True


@dataclass(frozen=True, slots=True)
class Visit:
    """One request for a page.

    Args:
        path: below where the pages are mounted; starts with ``/``.
        now: epoch ms.
        reader: what may be shown.
    """

    path: str
    now: int
    reader: Reader = field(default_factory=Everything)

    @property
    def links(self) -> Links:
        return Links.seen_from(self.path)

    def require(self, *contexts: RunContext) -> None:
        """Refuse the page unless everything it shows may be read.

        Raises:
            NotAllowed: says neither what the thing is called nor what it belongs to.
        """
        if not all(self.reader.may_read(context) for context in contexts):
            raise NotAllowed(
                "This belongs to a pipeline that you may not read.",
                remedy="Ask whoever runs it for the right to read its runs.",
            )
