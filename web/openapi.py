"""Completes the API's OpenAPI document with what the views do not declare."""

import json
import re
from functools import partial
from typing import Any

from apiflask import APIFlask

import config
from bounds import HIGHEST_ID
from web.errors import Error

_ALWAYS = {
    400: "Bad request",
    401: "A login or a token is required",
    403: "Requests from this host name or website are refused",
    422: "Invalid input",
    503: "The database does not answer",
}
_WITH_ID = {404: "Not found"}
_WITH_BODY = {
    409: "Not possible in the current state",
    413: "The body is too large",
    415: "The body is not JSON",
}
_ABOUT = """Campaigns, e-mails and mailboxes as the pages show them. Campaigns can be started, paused, resumed and
cancelled, unknown e-mails decided, and what came back judged. Each change is recorded with who made it.

Times are Warsaw time with its offset, and a day is a day in Warsaw. A refused request changes nothing and is answered
with an `Error` that says why."""
_TAGS = {
    "campaigns": ("campaigns", "today"),
    "e-mails": ("emails", "counts", "unknown"),
    "mailboxes": ("mailboxes",),
    "incoming": ("incoming", "holds", "needs-you"),
    "suppressions": ("suppressions",),
}
_TAG_OF = {first: tag for tag, places in _TAGS.items() for first in places}
_NESTED = re.compile(r"(?<=#/components/schemas/)\w+\.(?=\w+)")


def init(app: APIFlask) -> None:
    app.description = _ABOUT
    app.tags = list(_TAGS)
    app.config.update(AUTO_OPERATION_ID=True, AUTO_404_RESPONSE=False, AUTO_VALIDATION_ERROR_RESPONSE=False)
    app.servers = [{"url": "/"}]
    app.spec_processor(partial(_complete, app))  # always JSON, never YAML


def _complete(app: APIFlask, spec: dict[str, Any]) -> dict[str, Any]:
    spec = _with_nested_once(spec)
    components = spec["components"]
    components["schemas"]["Error"] = Error.model_json_schema()
    if config.settings().web.protected:
        components["securitySchemes"] = schemes = _security_schemes(app.config["SESSION_COOKIE_NAME"])
        spec["security"] = [{name: []} for name in schemes]
    for path, operations in spec["paths"].items():
        for method, operation in operations.items():
            _complete_operation(path, method, operation)
    return spec


def _with_nested_once(spec: dict[str, Any]) -> dict[str, Any]:
    """Merge copies of nested schemas, which each parent schema defines under its own prefixed name."""
    whole: dict[str, Any] = json.loads(_NESTED.sub("", json.dumps(spec)))
    schemas: dict[str, Any] = {}
    for name, schema in whole["components"]["schemas"].items():
        first = schemas.setdefault(name.rpartition(".")[2], schema)
        assert first == schema, f"two schemas are called {name}"
    whole["components"]["schemas"] = schemas
    return whole


def _security_schemes(cookie: str) -> dict[str, Any]:
    return {
        "token": {"type": "http", "scheme": "bearer", "description": "The value of PUNKTUAL_WEB_TOKEN."},
        "login": {"type": "apiKey", "in": "cookie", "name": cookie, "description": "Session cookie of a login."},
    }


def _complete_operation(path: str, method: str, operation: dict[str, Any]) -> None:
    operation["operationId"] = operation["operationId"].removeprefix(f"{method}_api_")
    operation["tags"] = [_TAG_OF[path.split("/")[2]]]
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "path":
            parameter["schema"] = {"type": "integer", "format": "int64", "minimum": 1, "maximum": HIGHEST_ID}
    expected = _ALWAYS | (_WITH_ID if "{id}" in path else {}) | (_WITH_BODY if method == "post" else {})
    for status, meaning in expected.items():
        operation["responses"][str(status)] = {"description": meaning, "content": _ERROR}
    if "requestBody" in operation:
        operation["requestBody"]["required"] = True


_ERROR = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
