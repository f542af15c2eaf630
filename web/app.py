"""Builds the web application: access control, pages, API, errors, security headers."""

from typing import Any

from apiflask import APIFlask, abort
from flask import request
from flask.json.provider import DefaultJSONProvider
from pydantic_core import from_json
from werkzeug.routing import IntegerConverter

import config
from bounds import HIGHEST_ID
from models.store import database
from reasons import gettext_noop
from web import api, errors, health, language, metrics, orders, owners, pages, unsubscribe
from web.guard import access, headers, sizes

MOST_PUBLIC_BYTES = 4 * 1024
# How long a page waits for a database that is away: once for its session, and once for another one.
ANSWER_SECONDS = 3
_WITHOUT_DATABASE = {"static", "health.live"}
_ONLY_READ = {"GET", "HEAD", "OPTIONS"}


class _Id(IntegerConverter):
    """An id in a URL: a Postgres bigint, in ASCII digits."""

    regex = "[0-9]{1,19}"

    def __init__(self, map: Any) -> None:
        super().__init__(map, min=1, max=HIGHEST_ID)


class _Json(DefaultJSONProvider):
    def loads(self, s: str | bytes, **_: Any) -> Any:
        """Pydantic's parser: Python's own raises RecursionError on deeply nested input."""
        return from_json(s)


def create_app() -> APIFlask:
    # No docs page: the available ones load scripts from other hosts. The document itself is at spec_path.
    app = APIFlask("web", title="Punktual", version="1", spec_path="/api/openapi.json", docs_path=None)
    app.json = _Json(app)
    app.url_map.converters["int"] = _Id
    _keep_sessions(app)
    headers.init(app)
    language.init(app)
    sizes.init(app)
    access.init(app)
    errors.init(app)
    api.init(app)
    app.register_blueprint(health.blueprint)
    app.register_blueprint(metrics.blueprint)
    app.register_blueprint(pages.blueprint)
    app.register_blueprint(orders.blueprint)
    for each in owners.BLUEPRINTS:
        app.register_blueprint(each)
    unsubscribe.init(app)
    access.csrf.exempt(unsubscribe.blueprint)
    app.before_request(_refuse_nul)
    return app


def create_public_app() -> APIFlask:
    """The unsubscribe page and nothing else, for a port that is open to the world."""
    app = APIFlask("web", enable_openapi=False, static_folder=None)  # type: ignore[arg-type]  # as for Flask
    app.config.update(MAX_CONTENT_LENGTH=MOST_PUBLIC_BYTES, MAX_FORM_MEMORY_SIZE=MOST_PUBLIC_BYTES, MAX_FORM_PARTS=10)
    _keep_sessions(app)
    headers.init(app)
    language.init(app)
    access.init_public(app, behind_https=config.settings().unsubscribe.behind_https)
    unsubscribe.init(app)
    app.error_processor(unsubscribe.refused)
    return app


def _refuse_nul() -> None:
    """Refuse NUL in input: Postgres text cannot contain it, and the statement would fail."""
    given = {name: value for name, values in request.values.lists() for value in values if "\0" in name + value}
    if given or "\0" in request.path:
        faults = {"input": {name.replace("\0", "\ufffd"): [gettext_noop("has a NUL character")] for name in given}}
        abort(422, detail=faults)


def _keep_sessions(app: APIFlask) -> None:
    """Keep each thread's database session from request to request.

    Call it before other functions that run before each request.
    """
    app.before_request(_replace_broken_session)
    app.teardown_request(_close_changed_session)


def _replace_broken_session() -> None:
    if request.endpoint not in _WITHOUT_DATABASE:
        database.replace_silent_session(ANSWER_SECONDS)


def _close_changed_session(failure: BaseException | None) -> None:
    """Close the session after a write or a failure, which may have set timeouts and made temporary tables."""
    if failure is not None or request.method not in _ONLY_READ:
        database.close()
