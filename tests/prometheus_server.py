"""A real Prometheus on loopback, with data of its own, that asks the given pages by the project's own settings."""

import json
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

from ruamel.yaml import YAML

from tests import watching
from tests.scraping import free_port
from tests.waiting import BOUND, until


class PrometheusServer:
    """pages: job -> port of the page on this machine that it asks."""

    def __init__(self, home: Path, pages: dict[str, int]) -> None:
        self.home, self.port = home, free_port()
        home.mkdir()
        (home / "password").write_text("nobody asks for it on loopback")
        shutil.copy(watching.PROMETHEUS / "rules.yml", home)
        with (home / "prometheus.yml").open("w", encoding="utf-8") as file:
            YAML().dump(self._settings(pages), file)

    def _settings(self, pages: dict[str, int]) -> Any:
        """The project's own, with other targets, and in a hurry."""
        settings = watching.loaded("prometheus.yml")
        settings["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        for job in settings["scrape_configs"]:
            job["static_configs"] = [{"targets": [f"127.0.0.1:{pages[job['job_name']]}"]}]
            if "basic_auth" in job:
                job["basic_auth"] = {"username": "prometheus", "password_file": str(self.home / "password")}
        return settings

    def __enter__(self) -> Self:
        command = [
            "prometheus",
            f"--config.file={self.home / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.home / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]
        with (self.home / "output.log").open("wb") as output:
            self._process = subprocess.Popen(command, cwd=self.home, stdout=output, stderr=output)
        until(self._is_ready, f"Prometheus below {self.home} to answer")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(BOUND)

    def query(self, expr: str) -> list[dict[str, Any]]:
        """What the expression gives now: series with their values. Raises HTTPError where it cannot be evaluated."""
        found: list[dict[str, Any]] = self._get("query", query=expr)["result"]
        return found

    def rules(self) -> list[dict[str, Any]]:
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def alerts(self) -> dict[str, str]:
        """Rule -> pending or firing."""
        return {alert["labels"]["alertname"]: alert["state"] for alert in self._get("alerts")["alerts"]}

    def _get(self, path: str, **parameters: str) -> Any:
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=BOUND) as answer:
            return json.load(answer)["data"]

    def _is_ready(self) -> bool:
        assert self._process.poll() is None, (self.home / "output.log").read_text()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
