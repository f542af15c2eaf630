"""Puts the parts together: whoever asks, what is answered, and what the answer may do in a browser."""

from apiflask import APIFlask

from models import database
from web import api, metrics, pages


def create_app() -> APIFlask:
    # No docs page: the ones on offer load scripts from elsewhere. The document itself is at spec_path.
    app = APIFlask("web", title="Punktual", version="1", spec_path="/api/openapi.json", docs_path=None)
    app.register_blueprint(api.blueprint)
    app.register_blueprint(metrics.blueprint)
    app.register_blueprint(pages.blueprint)
    app.teardown_request(_give_back_connection)
    return app


def _give_back_connection(failure: BaseException | None) -> None:
    database.close()
