"""Prefect's server as a place for events: giving it one, and asking whether it has it.

``prefect.events.emit_event`` hands an event to a thread and forgets it. A promotion is told once, so whoever tells it
has to know that the server took it: the event is sent in the foreground, and the server's answer waited for.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from headgate.prefect.server_api import server_answers

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.events import Event

    from headgate.prefect.events import ModelEvent

_MARGIN = timedelta(minutes=1)


def send(event: ModelEvent) -> None:
    """Give an event to Prefect's server, with the flow run and the deployment that it comes from, if any.

    The same event sent again is taken, and dropped by the server: it knows it by its id.

    Raises:
        StoreUnavailable: the server did not take it; a retry may help.
    """
    from prefect.utilities.asyncutils import run_coro_as_sync

    with server_answers(_named(event)):
        run_coro_as_sync(_send(event))


def has_arrived(event: ModelEvent) -> bool:
    """Say whether the server keeps the event. It writes events down a few seconds after it took them.

    Raises:
        StoreUnavailable: the server did not say; a retry may help.
    """
    from prefect.client.orchestration import get_client

    occurred = _moment(event)
    wanted = {
        "id": {"id": [str(event.event_id)]},
        "occurred": {"since": (occurred - _MARGIN).isoformat(), "until": (occurred + _MARGIN).isoformat()},
    }
    with server_answers(_named(event)), get_client(sync_client=True) as client:
        answer = client.request("POST", "/events/filter", json={"filter": wanted, "limit": 1})
        answer.raise_for_status()
    return bool(answer.json()["events"])


async def _send(event: ModelEvent) -> None:
    from prefect.client.base import ServerType
    from prefect.client.orchestration import get_client
    from prefect.events.clients import get_events_client

    async with get_client() as client:
        whole = await _with_run(client, event)
        if client.server_type is not ServerType.CLOUD:
            answer = await client.request("POST", "/events", json=[whole.model_dump(mode="json")])
            answer.raise_for_status()
            return
    # Cloud takes events by its socket alone; with a checkpoint after each, it has them when this returns.
    async with get_events_client(checkpoint_every=1) as events:
        await events.emit(whole)


async def _with_run(client: PrefectClient, event: ModelEvent) -> Event:
    from prefect.events import Event
    from prefect.events.related import related_resources_from_run_context

    resource_id = event.resource["prefect.resource.id"]
    of_run = await related_resources_from_run_context(client, exclude={resource_id})
    said: dict[str, Any] = {
        "id": event.event_id,
        "event": event.name,
        "occurred": _moment(event),
        "resource": dict(event.resource),
        "related": [*map(dict, event.related), *(dict(each.items()) for each in of_run)],
        "payload": dict(event.payload),
    }
    return Event.model_validate(said)


def _moment(event: ModelEvent) -> datetime:
    return datetime.fromtimestamp(event.occurred_at / 1000, UTC)


def _named(event: ModelEvent) -> str:
    return f"the event {event.name} of {event.key}"
