"""Completes the API's OpenAPI document with what the views do not declare."""

import json
import re
from functools import partial
from typing import Any

from apiflask import APIFlask

import config
from bounds import HIGHEST_ID
from web.errors import Refusal

_ANY = {
    400: "Bad request",
    401: "Not let in",
    403: "Not from here",
    422: "Input that is not as described",
    503: "The database is away",
}
_OF_ONE = {404: "There is none with this id"}
_ORDERS = {409: "It cannot be done, and why", 413: "Too much", 415: "Not JSON"}
_ABOUT = """Campaigns, their e-mails and mailboxes as the pages show them, and the few orders that a person may give.

Times bear the offset of Warsaw, whose days count. An order is recorded with who gave it. What is refused is answered by
a `Refusal`, which says why."""
_TAGS = {"campaigns": ("campaigns", "today"), "e-mails": ("emails", "counts", "unknown"), "mailboxes": ("mailboxes",)}
_TAG_OF = {first: tag for tag, places in _TAGS.items() for first in places}
_NESTED = re.compile(r"(?<=#/components/schemas/)\w+\.(?=\w+)")


def init(app: APIFlask) -> None:
    app.description = _ABOUT
    app.tags = list(_TAGS)
    app.config.update(AUTO_OPERATION_ID=True, AUTO_404_RESPONSE=False, AUTO_VALIDATION_ERROR_RESPONSE=False)
    app.servers = [{"url": "/"}]
    app.spec_processor(partial(_complete, app))  # always JSON, never YAML


def _complete(app: APIFlask, spec: dict[str, Any]) -> dict[str, Any]:
    spec = _hoisted(spec)
    components = spec["components"]
    components["schemas"]["Refusal"] = Refusal.model_json_schema()
    if config.settings().web.protected:
        components["securitySchemes"] = schemes = _schemes(app.config["SESSION_COOKIE_NAME"])
        spec["security"] = [{name: []} for name in schemes]
    for path, operations in spec["paths"].items():
        for method, operation in operations.items():
            _complete_operation(path, method, operation)
    return spec


def _hoisted(spec: dict[str, Any]) -> dict[str, Any]:
    """Merge copies of nested schemas, which each parent schema defines under its own prefixed name."""
    whole: dict[str, Any] = json.loads(_NESTED.sub("", json.dumps(spec)))
    schemas: dict[str, Any] = {}
    for name, schema in whole["components"]["schemas"].items():
        told = schemas.setdefault(name.rpartition(".")[2], schema)
        assert told == schema, f"two schemas are called {name}"
    whole["components"]["schemas"] = schemas
    return whole


def _schemes(cookie: str) -> dict[str, Any]:
    return {
        "token": {"type": "http", "scheme": "bearer", "description": "PUNKTUAL_WEB_TOKEN"},
        "login": {"type": "apiKey", "in": "cookie", "name": cookie, "description": "Of a browser that is logged in."},
    }


def _complete_operation(path: str, method: str, operation: dict[str, Any]) -> None:
    operation["operationId"] = operation["operationId"].removeprefix(f"{method}_api_")
    operation["tags"] = [_TAG_OF[path.split("/")[2]]]
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "path":
            parameter["schema"] = {"type": "integer", "format": "int64", "minimum": 1, "maximum": HIGHEST_ID}
    expected = _ANY | (_OF_ONE if "{id}" in path else {}) | (_ORDERS if method == "post" else {})
    for status, why in expected.items():
        operation["responses"][str(status)] = {"description": why, "content": {"application/json": {"schema": _REF}}}
    if "requestBody" in operation:
        operation["requestBody"]["required"] = True


_REF = {"$ref": "#/components/schemas/Refusal"}
