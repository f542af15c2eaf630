"""The OpenAPI document of the JSON API, beyond what its views say by themselves."""

from functools import partial
from typing import Any

from apiflask import APIFlask

import config
from web.errors import Refusal
from web.shapes import HIGHEST_ID

_ANY = {400: "Bad request", 401: "Not let in", 403: "Not from here", 503: "The database is away"}
_OF_ONE = {404: "There is none with this id"}
_WITH_INPUT = {422: "Input that is not as described"}
_ORDERS = {409: "It cannot be done, and why", 413: "Too much", 415: "Not JSON"}


def init(app: APIFlask) -> None:
    app.config.update(AUTO_404_RESPONSE=False, AUTO_VALIDATION_ERROR_RESPONSE=False)
    app.servers = [{"url": "/"}]
    app.spec_processor(partial(_complete, app))  # JSON, never the text of YAML


def _complete(app: APIFlask, spec: dict[str, Any]) -> dict[str, Any]:
    components = spec.setdefault("components", {})
    components["schemas"]["Refusal"] = Refusal.model_json_schema()
    if config.settings().web.protected:
        components["securitySchemes"] = schemes = _schemes(app.config["SESSION_COOKIE_NAME"])
        spec["security"] = [{name: []} for name in schemes]
    for path, operations in spec["paths"].items():
        for method, operation in operations.items():
            _complete_operation(path, method, operation)
    return spec


def _schemes(cookie: str) -> dict[str, Any]:
    return {
        "token": {"type": "http", "scheme": "bearer", "description": "PUNKTUAL_WEB_TOKEN"},
        "login": {"type": "apiKey", "in": "cookie", "name": cookie, "description": "Of a browser that is logged in."},
    }


def _complete_operation(path: str, method: str, operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "path":
            parameter["schema"] = {"type": "integer", "format": "int64", "minimum": 1, "maximum": HIGHEST_ID}
    expected = _ANY | (_OF_ONE if "{id}" in path else {}) | (_ORDERS if method == "post" else {})
    if method == "post" or "parameters" in operation:
        expected |= _WITH_INPUT
    for status, why in expected.items():
        operation["responses"][str(status)] = {"description": why, "content": {"application/json": {"schema": _REF}}}
    if "requestBody" in operation:
        operation["requestBody"]["required"] = True


_REF = {"$ref": "#/components/schemas/Refusal"}
