"""The files that say how Punktual runs for real agree with each other and with the code."""

import configparser
import os
import re
import signal
import socket
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import psutil
import pytest
from ruamel.yaml import YAML

import config
from actors.process.processes import PROCESSES
from ops.watch import exposition
from tests import watching
from tests.waiting import BOUND, until

COMPOSE = config.ROOT / "docker-compose.yml"
SUPERVISORD = config.ROOT / "ops" / "supervisord.conf"
PROVISIONING = config.ROOT / "ops" / "grafana" / "provisioning"
SECRETS = (
    *("POSTGRES_PASSWORD", "RABBITMQ_PASSWORD", "PUNKTUAL_SECRET_KEY"),
    *("PUNKTUAL_METRICS_PASSWORD", "PUNKTUAL_WEB_PASSWORD_HASH", "GRAFANA_PASSWORD"),
)
SEPARATE = set(PROCESSES) - {"embedded"}


def loaded() -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe").load(COMPOSE.read_text())
    return found


def scraped() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = watching.loaded("prometheus.yml")["scrape_configs"]
    return found


@pytest.fixture
def services() -> dict[str, Any]:
    found: dict[str, Any] = loaded()["services"]
    return found


@pytest.fixture
def programs() -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser()
    parser.read(SUPERVISORD)
    return parser


class TestCompose:
    def test_it_is_valid_by_the_compose_schema(self) -> None:
        command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)]

        done = subprocess.run(command, capture_output=True, text=True)

        assert done.returncode == 0, done.stdout + done.stderr

    def test_it_runs_each_process_that_there_is(self, services: dict[str, Any]) -> None:
        commands = [service["command"] for service in services.values() if "command" in service]

        assert {command[3] for command in commands if command[:3] == ["python", "-m", "actors"]} == SEPARATE

    def test_each_ones_log_is_bounded(self, services: dict[str, Any]) -> None:
        for service in services.values():
            assert {"max-size", "max-file"} <= set(service["logging"]["options"])

    def test_a_send_in_flight_may_end_before_its_worker_is_killed(self, services: dict[str, Any]) -> None:
        minutes = int(services["worker"]["stop_grace_period"].removesuffix("m"))

        assert minutes * 60 > config.settings().stop_grace_seconds

    def test_what_it_publishes_is_for_this_machine_alone(self, services: dict[str, Any]) -> None:
        ports = [port for service in services.values() for port in service.get("ports", [])]

        assert ports
        assert all(port.startswith("127.0.0.1:") for port in ports)

    def test_its_pages_ask_for_a_password_and_say_that_they_live(self, services: dict[str, Any]) -> None:
        web = services["web"]

        assert web["command"] == ["python", "-m", "web"]
        assert web["environment"]["PUNKTUAL_WEB_HOST"] == "0.0.0.0"
        assert "PUNKTUAL_WEB_PASSWORD_HASH" in web["environment"]
        assert web["ports"] == ["127.0.0.1:8025:8025"]
        assert "http://127.0.0.1:8025/health/live" in web["healthcheck"]["test"][-1]

    def test_each_variable_of_ours_is_a_setting(self, services: dict[str, Any]) -> None:
        given = {name for service in services.values() for name in service.get("environment", {})}
        ours = {name for name in given if name.startswith(config.PREFIX)}

        assert ours
        assert ours <= set(config._variable_names())

    def test_each_setting_in_env_reaches_what_runs(self, services: dict[str, Any]) -> None:
        for name in (*SEPARATE, "web", "migrate"):
            assert services[name]["env_file"] == [{"path": ".env", "required": False}]

    def test_the_page_that_is_open_to_the_world_gets_no_password_of_another(self, services: dict[str, Any]) -> None:
        public = services["public"]

        assert public["env_file"] == []
        assert not {"PUNKTUAL_WEB_PASSWORD_HASH", "PUNKTUAL_WEB_TOKEN"} & set(public["environment"])
        assert "PUNKTUAL_UNSUBSCRIBE_URL" in public["environment"]

    def test_its_metrics_are_open_to_its_own_network_alone(self, services: dict[str, Any]) -> None:
        for name in ("worker", "timekeeper"):
            assert services[name]["environment"]["PUNKTUAL_METRICS_HOST"] == "0.0.0.0"
            assert "PUNKTUAL_METRICS_PASSWORD" in services[name]["environment"]
            assert "ports" not in services[name]

    def test_no_two_containers_can_pass_for_one_host(self, services: dict[str, Any]) -> None:
        """A worker that boots rules on what dead processes of its host held."""
        hosts = [service["hostname"] for service in services.values() if "hostname" in service]

        assert len(set(hosts)) == len(hosts)
        assert "container_name" in services["worker"]

    def test_no_secret_is_written_into_it(self) -> None:
        for name in SECRETS:
            assert re.search(rf"\${{{name}:\?", COMPOSE.read_text())

    def test_the_file_that_has_them_goes_into_neither_image_nor_repository(self) -> None:
        for name in (".dockerignore", ".gitignore"):
            assert ".env" in (config.ROOT / name).read_text().splitlines()


class TestWatching:
    def test_each_target_is_a_service_of_compose_and_each_page_a_target(self, services: dict[str, Any]) -> None:
        found = {it["job_name"]: it["static_configs"][0]["targets"] for it in scraped()}

        settings = tomllib.loads((config.ROOT / "config.toml").read_text())
        assert found == {
            "punktual-web": [f"web:{settings['web']['port']}"],
            "punktual-worker": [f"worker:{settings['metrics']['worker_port']}"],
            "punktual-timekeeper": [f"timekeeper:{settings['metrics']['timekeeper_port']}"],
            "rabbitmq": ["rabbitmq:15692"],
            "rabbitmq-queues": ["rabbitmq:15692"],
        }
        assert {target.partition(":")[0] for targets in found.values() for target in targets} <= set(services)

    def test_prometheus_asks_our_pages_with_the_password_that_compose_gives_it(self, services: dict[str, Any]) -> None:
        asking = [it["basic_auth"] for it in scraped() if it["job_name"].startswith("punktual-")]
        [secret] = services["prometheus"]["secrets"]

        assert len(asking) == 3
        assert all(it["password_file"] == f"/run/secrets/{secret}" for it in asking)
        assert all(it["username"] == exposition.USER for it in asking)
        assert loaded()["secrets"][secret] == {"environment": "PUNKTUAL_METRICS_PASSWORD"}

    def test_what_prometheus_and_grafana_read_is_mounted_where_they_look(self, services: dict[str, Any]) -> None:
        mounts = [mount for name in ("prometheus", "grafana") for mount in services[name]["volumes"]]
        sources = [mount.split(":")[0] for mount in mounts if mount.startswith("./")]
        [provider] = YAML(typ="safe").load((PROVISIONING / "dashboards" / "punktual.yml").read_text())["providers"]

        assert all((config.ROOT / source).exists() for source in sources)
        assert all(mount.endswith(":ro") for mount in mounts if mount.startswith("./"))
        assert f"./ops/grafana/dashboards:{provider['options']['path']}:ro" in mounts

    def test_nobody_sees_grafana_without_a_password(self, services: dict[str, Any]) -> None:
        environment = services["grafana"]["environment"]

        assert environment["GF_AUTH_ANONYMOUS_ENABLED"] == "false"
        assert "${GRAFANA_PASSWORD:?" in environment["GF_SECURITY_ADMIN_PASSWORD"]

    def test_rabbitmqs_page_for_prometheus_is_not_published(self, services: dict[str, Any]) -> None:
        assert services["rabbitmq"]["ports"] == ["127.0.0.1:15672:15672"]


class TestSupervisord:
    def test_it_runs_each_process_that_there_is(self, programs: configparser.RawConfigParser) -> None:
        names = {name.removeprefix("program:") for name in programs.sections() if name.startswith("program:")}

        assert names == SEPARATE | {"web"}
        for name in SEPARATE:
            assert programs[f"program:{name}"]["command"].endswith(f"-m actors {name}")
        assert programs["program:web"]["command"].endswith("-m ops.run.tied web")

    def test_a_send_in_flight_may_end_before_its_worker_is_killed(self, programs: configparser.RawConfigParser) -> None:
        assert int(programs["program:worker"]["stopwaitsecs"]) > config.settings().stop_grace_seconds

    def test_a_process_that_dies_comes_back_and_all_end_together(self, tmp_path: Path) -> None:
        sleeper = f"{sys.executable} -c 'import signal; signal.pause()' -- "
        text = SUPERVISORD.read_text().replace("%(ENV_SUPERVISED_PYTHON)s ", sleeper).replace("%(here)s/..", "/")
        (tmp_path / "supervisord.conf").write_text(text)
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(tmp_path / "supervisord.conf")]
        environment = {**os.environ, "SUPERVISED_VAR": str(tmp_path)}
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        supervisor = psutil.Process(process.pid)
        until(lambda: len(supervisor.children()) == 4, "four processes")
        victim = supervisor.children()[0]

        victim.kill()

        until(lambda: len(supervisor.children()) == 4 and victim not in supervisor.children(), "another one")
        running = supervisor.children()
        process.send_signal(signal.SIGTERM)
        process.wait(BOUND)
        assert not [child for child in running if child.is_running()]


PROGRAM = """
import os, pathlib, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
os.write(1, b"begun\\n")
pathlib.Path(__file__).with_name(f"{os.getpid()}.begun").touch()
signal.sigwait([signal.SIGTERM])
os.write(1, b"ended\\n")
"""


class TestSupervisedProcesses:
    @pytest.fixture
    def command(self, tmp_path: Path) -> list[str]:
        """Supervises four processes that write a line at each end of their life, which SIGTERM ends."""
        (tmp_path / "program.py").write_text(PROGRAM)
        text = SUPERVISORD.read_text().replace("%(here)s/..", "/")
        text = text.replace("%(ENV_SUPERVISED_PYTHON)s ", f"{sys.executable} {tmp_path / 'program.py'} ")
        (tmp_path / "supervisord.conf").write_text(text)
        program = "import pathlib, sys; from ops import supervise; sys.exit(supervise.run(pathlib.Path(sys.argv[1])))"
        return [sys.executable, "-c", program, str(tmp_path / "supervisord.conf")]

    @pytest.fixture
    def environment(self, tmp_path: Path) -> dict[str, str]:
        return {**os.environ, "SUPERVISED_VAR": str(tmp_path)}

    def test_write_to_a_socket_as_under_systemd_until_all_have_ended(
        self, command: list[str], environment: dict[str, str]
    ) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            process = subprocess.Popen(command, cwd=config.ROOT, env=environment, stdout=theirs.fileno())
            theirs.close()
            lines = ours.makefile()
            ours.settimeout(BOUND)
            assert [lines.readline() for _ in range(4)] == ["begun\n"] * 4
            running = psutil.Process(process.pid).children(recursive=True)

            process.send_signal(signal.SIGTERM)

            assert lines.readlines() == ["ended\n"] * 4
            assert process.wait(BOUND) == 0
        assert len(running) == 5
        assert not [each for each in running if each.is_running()]

    def test_go_on_if_nobody_reads_what_they_write(
        self, command: list[str], environment: dict[str, str], tmp_path: Path
    ) -> None:
        ours, theirs = socket.socketpair()
        ours.close()
        process = subprocess.Popen(command, cwd=config.ROOT, env=environment, stdout=theirs.fileno())
        theirs.close()
        until(lambda: len(list(tmp_path.glob("*.begun"))) == 4, "four processes")

        process.send_signal(signal.SIGTERM)

        assert process.wait(BOUND) == 0

    def test_end_if_what_copies_their_lines_is_killed(self, command: list[str], environment: dict[str, str]) -> None:
        process = subprocess.Popen(command, cwd=config.ROOT, env=environment, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(4)] == [b"begun\n"] * 4
        running = psutil.Process(process.pid).children(recursive=True)

        process.kill()

        until(lambda: not any(each.is_running() for each in running), "all to end")
        process.communicate()


class TestStartingWithoutServices:
    def test_says_in_one_line_what_to_do(self) -> None:
        environment = {**os.environ, "PUNKTUAL_BROKER_URL": "embedded"}

        done = subprocess.run(
            [sys.executable, "-m", "ops.supervise"],
            cwd=config.ROOT,
            env=environment,
            capture_output=True,
            text=True,
        )

        assert done.returncode == 1
        assert "make services" in done.stderr
        assert len(done.stderr.splitlines()) == 1
