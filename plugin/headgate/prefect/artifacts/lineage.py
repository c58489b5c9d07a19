"""The lineage of something as an artifact: a diagram, and the same in words."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING

from headgate.prefect.artifacts.links import lineage_key, lineage_links
from headgate.prefect.artifacts.markdown import fenced
from headgate.prefect.artifacts.publish import publish_markdown
from headgate.store.lineage.render import CUT, to_mermaid, to_text
from headgate.store.lineage.svg import to_svg

if TYPE_CHECKING:
    from uuid import UUID

    from headgate.store.lineage import Lineage
    from headgate.store.store import Store

# Prefect's pages draw Mermaid with its own limits; beyond them they show an error in place of the diagram.
MOST_EDGES = 500
LONGEST_MERMAID = 50_000
MOST_NODES = 300

_MOST_LINES = 200


def publish_lineage(store: Store, subject: str) -> UUID:
    """Make the artifact of where something comes from and what came of it; return its id.

    Args:
        store: where it is recorded.
        subject: such as ``models:/churn@champion``, a model id, a run id or the id of a verdict or promotion; see
            :meth:`headgate.store.lineage.LineageGraph.of`. The artifact's key is made of it.

    Raises:
        NotFound: there is no such thing.
        InvalidInput: the subject can't be read.
        StoreUnavailable: the store or Prefect's server did not answer; a retry may help.
    """
    found = store.lineage.of(subject, limit=MOST_NODES)
    description = f"Lineage of {subject}, from the data to the alias that serves"
    return publish_markdown(lineage_key(subject), lineage_markdown(found, lineage_links(found)), description)


def lineage_markdown(lineage: Lineage, links: Mapping[str, str] | None = None) -> str:
    """Return a lineage as Markdown: as Mermaid where Prefect's pages draw it, and as an image where it is too large.

    Args:
        links: by key of a node, the address of its page.
    """
    note = f"\n\n{CUT}" if lineage.truncated else ""
    lines = to_text(lineage).splitlines()
    more = len(lines) - _MOST_LINES
    words = "\n".join([*lines[:_MOST_LINES], *([f"… and {more} more lines"] if more > 0 else [])])
    return f"{diagram(lineage, links)}{note}\n\n## In words\n\n{fenced(words, 'text')}\n"


def diagram(lineage: Lineage, links: Mapping[str, str] | None = None) -> str:
    """Return the diagram alone. Links go first where they make it too long; then Mermaid does."""
    if len(lineage.edges) <= MOST_EDGES:
        for mermaid in (to_mermaid(lineage, links), to_mermaid(lineage)):
            if len(mermaid) <= LONGEST_MERMAID:
                return fenced(mermaid, "mermaid")
    picture = base64.b64encode(to_svg(lineage).encode()).decode()
    return f"![Lineage](data:image/svg+xml;base64,{picture})"
