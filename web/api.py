"""The JSON API: what the pages show, and the few things that a person may order."""

from apiflask import APIBlueprint

blueprint = APIBlueprint("api", __name__, url_prefix="/api")
