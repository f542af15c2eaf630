"""The JSON API: what the pages show, and the few things that a person may order."""

from apiflask import APIBlueprint, APIFlask, abort
from flask import request

from web import access

blueprint = APIBlueprint("api", __name__, url_prefix="/api")


def init(app: APIFlask) -> None:
    access.csrf.exempt(blueprint)
    app.register_blueprint(blueprint)


@blueprint.before_request
def _take_only_json() -> None:
    """A form, which any page may send for whoever looks at it, cannot say that it is JSON."""
    if request.method not in {"GET", "HEAD", "OPTIONS"} and request.mimetype != "application/json":
        abort(415)
