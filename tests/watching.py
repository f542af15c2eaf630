"""What ops/ asks of Prometheus: the expressions of its rules and of its dashboard."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from ruamel.yaml import YAML

import config

PROMETHEUS = config.ROOT / "ops" / "prometheus"
GRAFANA = config.ROOT / "ops" / "grafana"
DASHBOARD = GRAFANA / "dashboards" / "punktual.json"


class Asked(NamedTuple):
    where: str
    expr: str

    @property
    def metrics(self) -> set[str]:
        return set(re.findall(r"\b(?:punktual|rabbitmq|dramatiq)_\w+", self.expr))


def loaded(name: str) -> Any:
    return YAML(typ="safe").load((PROMETHEUS / name).read_text(encoding="utf-8"))


def rules() -> list[dict[str, Any]]:
    return [rule for group in loaded("rules.yml")["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return found


def panels() -> list[dict[str, Any]]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def asked() -> Iterator[Asked]:
    for rule in rules():
        yield Asked(rule["alert"], rule["expr"])
    for panel in panels():
        for target in panel["targets"]:
            yield Asked(f"{panel['title']} {target['refId']}", target["expr"])
