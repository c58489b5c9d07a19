"""The pages within Airflow's API server, at ``/headgate``: who is signed in, and what they may read, Airflow says.

Airflow protects nothing that a plugin mounts, so every route here asks its auth manager:

* a page of a DAG, of its runs and of its tasks: whether the user may read the runs of this very DAG;
* a page of a run, a verdict, a model or a lineage: the page finds out whose it is and asks :class:`UserRights`, which
  asks the same, for each DAG that would be shown;
* the registry (what is in production, versions, promotions): whether the user may read assets, which models are;
* the stylesheet, the script, and every address that is no page: whether there is a user at all.

Only the API server imports this module.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, get_user, requires_access_asset
from airflow.models.dag import DagModel
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException

from headgate.airflow.connection import open_store_of
from headgate.airflow.identity import ORIGIN
from headgate.server.pages.empty import error_page, said
from headgate.server.pages.links import text_of
from headgate.server.pages.rendering import HEADERS, STATIC_FILES, Page, static_file
from headgate.server.pages.rights import UNKNOWN
from headgate.server.pages.site import ADDRESSES, Address, Belongs, answer
from headgate.server.pages.visit import Visit
from headgate.store.clock import now_ms
from headgate.store.entities import RunContext
from headgate.store.errors import HeadgateError

if TYPE_CHECKING:
    from headgate.store.store import Store

_log = logging.getLogger(__name__)

_TASK_RUN = "/pipelines/{origin}/{pipeline}/runs/{pipeline_run_id}/tasks/{task}"
_SAID = {
    401: ("You are not signed in", "Sign in to Airflow, and open this page again."),
    403: ("You may not read this", "Ask whoever runs this Airflow for the right to read it."),
    404: ("There is nothing here", "No page of Headgate has this address."),
}


class UserRights:
    """What a user of Airflow may read, asked of the auth manager once per DAG and request."""

    def __init__(self, user: BaseUser) -> None:
        self._user = user
        self._known: dict[str, bool] = {}

    def may_read(self, context: RunContext) -> bool:
        """Return whether the user may read the runs of the DAG that recorded something.

        What came from outside of Airflow belongs to no DAG; every user who may see the registry may see it.
        """
        if context.origin != ORIGIN:
            return context != UNKNOWN
        if context.pipeline is None:
            return False
        if context.pipeline not in self._known:
            self._known[context.pipeline] = _may_read_dag(self._user, context.pipeline)
        return self._known[context.pipeline]


class _OneStore:
    """The store of this process, opened by whoever asks first; what can't be opened is tried again by the next."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = ExitStack()
        self._store: Store | None = None

    def get(self) -> Store:
        with self._lock:
            if self._store is None:
                self._store = self._open.enter_context(open_store_of())
            return self._store

    def close(self) -> None:
        with self._lock:
            self._open.close()
            self._store = None


_store = _OneStore()


@asynccontextmanager
async def _lifespan(_: FastAPI) -> AsyncIterator[None]:
    yield
    _store.close()


def _may_read_dag(user: BaseUser, dag_id: str) -> bool:
    details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
    return bool(
        get_auth_manager().is_authorized_dag(
            method="GET", access_entity=DagAccessEntity.RUN, details=details, user=user
        )
    )


def _requires_pipeline(request: Request, user: GetUserDep) -> None:
    """Refuse a page of a DAG to who may not read its runs; one of another orchestrator to who may not read assets."""
    origin, pipeline = (text_of(request.path_params[name]) for name in ("origin", "pipeline"))
    if origin != ORIGIN:
        _requires_registry(request, user)
    elif not _may_read_dag(user, pipeline):
        raise HTTPException(403)


_requires_registry = requires_access_asset("GET")

_REQUIRES: Mapping[Belongs, Callable[..., None]] = {
    Belongs.REGISTRY: _requires_registry,
    Belongs.OBJECT: _requires_registry,
    Belongs.PIPELINE: _requires_pipeline,
}


def _endpoint(address: Address) -> Callable[[Request, BaseUser], Response]:
    # Not `async`: the store is read in a thread, not on the server's event loop.
    def endpoint(request: Request, user: GetUserDep) -> Response:
        visit = Visit(_path(request), now_ms(), UserRights(user))
        query = dict(request.query_params)
        try:
            store = _store.get()
        except HeadgateError as error:
            return _sent(error_page(visit, error))
        more = {}
        if address.path.startswith(_TASK_RUN):
            more["reference"] = _reference({name: text_of(part) for name, part in request.path_params.items()})
        return _sent(answer(address, store, visit, request.path_params, query, **more))

    return endpoint


def _reference(parts: Mapping[str, str]) -> Any:
    """Return the reference that a task of Airflow returned: a gate records no run, its XCom names the verdict.

    It is taken as it stands in the database: a task may return whatever Airflow's decoder would make objects of.
    """
    if parts["origin"] != ORIGIN:
        return None
    index = parts.get("map_index", "")
    found = XComModel.get_many(
        key="return_value",
        dag_ids=parts["pipeline"],
        run_id=parts["pipeline_run_id"],
        task_ids=parts["task"],
        map_indexes=int(index) if index.isdecimal() and len(index) < 9 else -1,
        limit=1,
    )
    with create_session() as session:
        entry: Any = session.scalars(found).first()
    return entry.value if entry is not None and isinstance(entry.value, dict) else None


def _static(name: str) -> Callable[[BaseUser], Response]:
    def endpoint(_: GetUserDep) -> Response:
        headers = {**HEADERS, "Cache-Control": "private, max-age=86400"}  # its address changes with its content
        return Response(static_file(name), media_type=STATIC_FILES[name], headers=headers)

    return endpoint


def _nothing(_: GetUserDep) -> Response:
    raise HTTPException(404)


async def _refused(request: Request, error: Exception) -> Response:
    """Answer a refusal with a page, which may stand in a frame of Airflow's."""
    assert isinstance(error, StarletteHTTPException)
    heading, sentence = _SAID.get(error.status_code, ("This can't be shown", "Open another page."))
    return _sent(said(_visit(request), error.status_code, heading, sentence), error.headers)


async def _failed(request: Request, error: Exception) -> Response:
    """Answer a mistake of ours: what happened stands in the server's log, not on the page."""
    _log.error("Headgate could not make the page %s", request.url.path, exc_info=error)
    sentence = "Headgate failed to make this page. The log of Airflow's API server says why."
    return _sent(said(_visit(request), 500, "This page can't be shown", sentence))


def _visit(request: Request) -> Visit:
    return Visit(_path(request), now_ms())


def _path(request: Request) -> str:
    """Return the path below where the application is mounted, still encoded as far as its slashes are."""
    return str(request.scope["path"]).removeprefix(request.scope.get("root_path", "")) or "/"


def _sent(page: Page, headers: Mapping[str, str] | None = None) -> Response:
    return HTMLResponse(page.body, page.status, headers={**HEADERS, **(headers or {})})


def _application() -> FastAPI:
    made = FastAPI(
        title="Headgate",
        dependencies=[Depends(get_user)],
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
        exception_handlers={StarletteHTTPException: _refused, Exception: _failed},
    )
    for address in ADDRESSES:
        required = Depends(_REQUIRES[address.belongs])
        made.add_api_route(address.path, _endpoint(address), dependencies=[required], response_class=HTMLResponse)
    for name in STATIC_FILES:
        made.add_api_route(f"/static/{name}", _static(name))
    made.add_api_route("/{rest:path}", _nothing)
    return made


app = _application()
