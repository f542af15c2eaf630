"""config.toml, a file of one's own and the environment -> one checked, frozen settings object.

Defines and validates every setting. Secrets come only from the environment and are never printed.
"""

import os
import re
import stat
from base64 import urlsafe_b64decode
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, TypeGuard, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

import faults
from bounds import MAILBOX, PORT, Bounds
from faults import Float, Int, within

_HOST = re.compile(r"(\[[^]]*\]|[^:]*)(:\d*)?")
_ARGON2ID = re.compile(r"\$argon2id\$v=\d+\$m=\d+,t=\d+,p=\d+\$[\w+/]+\$[\w+/]+", re.ASCII)
_TOKEN = re.compile(r"[\x21-\x7e]{20,}")
_PASSWORD_IN_QUERY = re.compile(r"([?&]\w*password=)[^&]*", re.IGNORECASE)

ROOT = Path(__file__).parent
EMBEDDED = "embedded"
PREFIX = "PUNKTUAL_"
# Environment variables that are not settings of config.toml.
OTHER_VARIABLES = {"PUNKTUAL_CONFIG", "PUNKTUAL_MAILBOX_PASSWORD", "PUNKTUAL_MAILBOX_CLIENT_SECRET"}
# Settings of earlier versions -> what replaces them.
_GONE = {
    "sending.max_attempts": "attempts are no longer counted; temporary refusals are retried until a maximum age:"
    " sending.give_up_after_days (PUNKTUAL_SENDING_GIVE_UP_AFTER_DAYS), 5 by default",
}


class SettingsInvalid(Exception):
    """The settings cannot be used as they are."""


# The maximum fits into the timeouts of Postgres and sockets in any unit.
PositiveFloat = Annotated[Float, within(Bounds(0.001, 1_000_000))]
PositiveInt = Annotated[Int, within(Bounds(1, 1_000_000))]
_Hours = Annotated[Float, within(Bounds(0.001, 366 * 24))]
_Port = Annotated[Int, within(PORT)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Database(Section):
    url: SecretStr
    lock_timeout_seconds: PositiveFloat
    statement_timeout_seconds: PositiveFloat
    idle_in_transaction_seconds: PositiveFloat

    @property
    def embedded(self) -> bool:
        return self.url.get_secret_value() == EMBEDDED

    @model_validator(mode="after")
    def _check_url(self) -> "Database":
        return _with_scheme(self, "postgresql", "postgres")


class Broker(Section):
    url: SecretStr
    heartbeat_seconds: Annotated[Int, within(Bounds(1, 65_535))]  # 16 bits in AMQP
    blocked_timeout_seconds: PositiveInt

    @property
    def embedded(self) -> bool:
        return self.url.get_secret_value() == EMBEDDED

    @model_validator(mode="after")
    def _check_url(self) -> "Broker":
        return _with_scheme(self, "amqp", "amqps")


class Worker(Section):
    processes: Annotated[Int, within(Bounds(1, 1000))]
    threads: Annotated[Int, within(Bounds(1, 1000))]
    wakeup_milliseconds: Annotated[Int, within(Bounds(1, 60_000))]


class Planning(Section):
    horizon_hours: _Hours
    # A worker holds delayed messages, and RabbitMQ closes a consumer's channel after 30 minutes.
    buffer_minutes: Annotated[Float, within(Bounds(2, 25))]
    mailbox_gap_seconds: Annotated[Float, within(MAILBOX["gap_seconds"])]


class Sending(Section):
    late_tolerance_seconds: PositiveFloat
    claim_lease_seconds: PositiveFloat
    answer_lease_seconds: PositiveFloat
    smtp_host_concurrency: PositiveInt
    clock_tolerance_seconds: Annotated[Float, within(Bounds(0.001, 1e9))]
    journal_room_megabytes: PositiveFloat
    give_up_after_days: Annotated[Float, within(Bounds(1e-6, 366))]
    retry_first_seconds: PositiveFloat
    retry_factor: Annotated[Float, within(Bounds(1, 1000))]
    retry_cap_seconds: PositiveFloat
    require_legal_basis: bool | Literal["auto"]
    # At most the number of results that protection.py reads.
    pause_after_results: Annotated[Int, within(Bounds(1, 1000))]
    pause_at_failed_percent: Annotated[Float, within(Bounds(0.001, 100))] | Literal["off"]


class Leads(Section):
    recent_days: Annotated[Float, within(Bounds(0, 3660))]


class Retention(Section):
    # What answers a letter is read better beside it.
    letters_days: Annotated[Int, within(Bounds(30, 36_600))] | Literal["off"]


class Smtp(Section):
    command_timeout_seconds: PositiveFloat
    conversation_timeout_seconds: PositiveFloat
    answer_timeout_seconds: PositiveFloat
    hand_over_to_dot_seconds: PositiveFloat


class Imap(Section):
    command_timeout_seconds: PositiveFloat
    conversation_timeout_seconds: PositiveFloat
    first_look_seconds: PositiveFloat
    inbox_every_seconds: PositiveFloat
    inbox_look_seconds: PositiveFloat
    inbox_messages: PositiveInt
    inbox_message_kilobytes: Annotated[Int, within(Bounds(64, 10_240))]
    inbox_megabytes: Annotated[Int, within(Bounds(1, 1024))]
    inbox_days_back: Annotated[Int, within(Bounds(1, 366))]
    hold_days: Annotated[Float, within(Bounds(0.001, 366))]


def _ip_addresses(values: list[str]) -> list[str]:
    for value in values:
        try:
            ip_address(value)
        except ValueError:
            raise ValueError(f"{value[:80]!r} is not an IP address") from None
    return values


class Dns(Section):
    name_servers: Annotated[list[str], AfterValidator(_ip_addresses)]
    port: _Port
    timeout_seconds: PositiveFloat
    close_after_missing_hours: Annotated[Float, within(Bounds(1, 8784))] | Literal["off"]


def _https_address(value: str) -> str:
    if not re.fullmatch(r"https://[^\s/?#@]+[^\s?#@]*", value):
        raise ValueError("must be a web address that begins with https://")
    return value


_HttpsAddress = Annotated[str, AfterValidator(_https_address)]


class OAuth(Section):
    microsoft_login_url: _HttpsAddress
    google_login_url: _HttpsAddress
    google_token_url: _HttpsAddress
    timeout_seconds: PositiveFloat


class Metrics(Section):
    host: str
    password: SecretStr | None = None
    worker_port: _Port
    timekeeper_port: _Port


def _web_address(value: str) -> str:
    if value and not re.fullmatch(r"https?://[^\s/]\S*", value):
        raise ValueError("must be a web address that begins with https:// or http://, or empty")
    return value


class Notices(Section):
    urls: SecretStr | None = None
    pages_url: Annotated[str, AfterValidator(_web_address)]
    repeat_hours: _Hours
    answer_timeout_seconds: PositiveFloat
    max_attempts: PositiveInt


class Web(Section):
    host: str
    port: _Port
    behind_https: bool
    password_hash: SecretStr | None = None
    token: SecretStr | None = None

    @property
    def protected(self) -> bool:
        """Whether the pages need a password or token."""
        return self.password_hash is not None or self.token is not None


def _public_address(value: str) -> str:
    if value and not (value.isascii() and re.fullmatch(r"https?://[^\s/<>,?#]+(/[^\s<>,?#]*)?", value)):
        raise ValueError("must be a web address in ASCII like https://stop.your-domain.pl, or empty")
    # Mail programs post to it (RFC 8058 section 3.1), and its path names a person.
    if value.startswith("http://") and not is_loopback(urlsplit(value).hostname or ""):
        raise ValueError("must be a secure address, which begins with https://")
    return value.rstrip("/")


class Unsubscribe(Section):
    url: Annotated[str, AfterValidator(_public_address)]
    host: str
    port: _Port

    @property
    def behind_https(self) -> bool:
        """Whether a TLS proxy is in front of `python -m web public`, which speaks no TLS itself."""
        return self.url.startswith("https://")


class Log(Section):
    level: Literal["debug", "info", "warning", "error"]
    format: Literal["auto", "text", "json"]


def _not_empty(value: object) -> object:
    if value == "":  # pathlib takes it for the folder of the program
        raise ValueError("must not be empty")
    return value


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="_", env_nested_max_split=1, extra="forbid", frozen=True
    )

    data_dir: Annotated[Path, BeforeValidator(_not_empty)]
    secret_key: SecretStr | None = None
    database: Database
    broker: Broker
    worker: Worker
    planning: Planning
    sending: Sending
    leads: Leads
    retention: Retention
    smtp: Smtp
    imap: Imap
    dns: Dns
    oauth: OAuth
    metrics: Metrics
    notices: Notices
    web: Web
    unsubscribe: Unsubscribe
    log: Log

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        files = (TomlConfigSettingsSource(settings_cls, toml_file=path) for path in _config_files())
        return init_settings, env_settings, *files

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> "Settings":
        for contradiction in _contradictions(self):
            raise ValueError(contradiction)
        return self

    @property
    def secret_keys(self) -> list[str]:
        """The secret keys: the current one first, then those that it replaced. Empty if none is set."""
        return re.split(r"[\s,]+", self.secret_key.get_secret_value().strip()) if self.secret_key else []

    @cached_property
    def var(self) -> Path:
        return ROOT / self.data_dir

    @property
    def stop_grace_seconds(self) -> float:
        """How long a worker may need to stop. One killed while it waits for an answer leaves an unknown e-mail."""
        return self.smtp.answer_timeout_seconds + self.smtp.hand_over_to_dot_seconds + 50


@cache
def settings() -> Settings:
    """The settings of this process, read on first use. Raises SettingsInvalid with one message."""
    return load()


def private_folder(path: Path) -> Path:
    """Create the folder if missing, and close it and the data folder above it to other users."""
    var = settings().var
    for folder in (*reversed(path.parents), path):
        if not folder.exists():
            folder.mkdir(mode=0o700, exist_ok=True)
        elif folder in (var, path):
            _close(folder)
    return path


def _close(folder: Path) -> None:
    """Close a folder to other users, unless it is another user's, writable by all, or contains the program."""
    found = folder.stat()
    ours = found.st_uid == os.geteuid() and not found.st_mode & stat.S_ISVTX
    if ours and found.st_mode & 0o077 and not ROOT.resolve().is_relative_to(folder.resolve()):
        folder.chmod(0o700)


def load() -> Settings:
    for path in _config_files():
        _refuse_secrets_in_file(path)
        _refuse_wrong_types(path)
    _refuse_unknown_variables(os.environ)
    try:
        return Settings()  # type: ignore[call-arg]  # the sources give the values
    except ValidationError as error:
        raise SettingsInvalid("; ".join(_sentences(error))) from None
    except (SettingsError, OSError):
        raise SettingsInvalid(f"the settings of {_config_files()[0]} and of the environment cannot be read") from None


def shown(settings: Settings) -> dict[str, Any]:
    """The settings as plain values, in config.toml's order, without secrets."""
    plain: dict[str, Any] = settings.model_dump(mode="json")
    plain["secret_key"] = "set" if settings.secret_key else "not set"
    for name in ("password_hash", "token"):
        plain["web"][name] = "set" if getattr(settings.web, name) else "not set"
    plain["notices"]["urls"] = "set" if settings.notices.urls else "not set"
    plain["metrics"]["password"] = "set" if settings.metrics.password else "not set"
    plain["database"]["url"] = without_password(settings.database.url.get_secret_value())
    plain["broker"]["url"] = without_password(settings.broker.url.get_secret_value())
    return plain


def without_password(url: str) -> str:
    if password := urlsplit(url).password:
        url = url.replace(f":{password}@", ":***@", 1)
    return _PASSWORD_IN_QUERY.sub(r"\1***", url)


def _config_files() -> list[Path]:
    """The file that PUNKTUAL_CONFIG names, if it does, and config.toml for what that one leaves out."""
    named = os.environ.get("PUNKTUAL_CONFIG")
    files = [Path(named)] if named is not None else []
    for path in files:
        if not path.is_file():
            raise SettingsInvalid(f"{path}: there is no such settings file")
    return [*files, ROOT / "config.toml"]


S = TypeVar("S", Database, Broker)


def _with_scheme(section: S, *schemes: str) -> S:
    url = section.url.get_secret_value()
    if url == EMBEDDED:
        return section
    if urlsplit(url).scheme not in schemes:
        raise ValueError(f'url must be "{EMBEDDED}" or begin with {schemes[0]}://')
    if not _is_well_formed(url):
        # Otherwise part of the password would be parsed as a host or port, and appear in errors.
        raise ValueError("url is not well-formed: characters like / ? # @ in a password must be percent-encoded")
    return section


def _is_well_formed(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    hosts = parts.netloc.rpartition("@")[2].split(",")
    misplaced = parts.fragment or "@" in parts.path + parts.query or parts.netloc.count("@") > 1
    return not misplaced and all(_HOST.fullmatch(host) for host in hosts)


def _contradictions(it: Settings) -> Iterator[str]:
    if it.smtp.conversation_timeout_seconds >= it.sending.claim_lease_seconds:
        yield f"{_where('sending.claim_lease_seconds')} must be longer than smtp.conversation_timeout_seconds"
    until_answer = it.smtp.hand_over_to_dot_seconds + it.smtp.answer_timeout_seconds
    if until_answer >= it.sending.answer_lease_seconds:
        yield (
            f"{_where('sending.answer_lease_seconds')} must be longer than smtp.answer_timeout_seconds and the"
            " hand-over before it"
        )
    if it.smtp.command_timeout_seconds > it.smtp.conversation_timeout_seconds:
        yield f"{_where('smtp.command_timeout_seconds')} must not be longer than smtp.conversation_timeout_seconds"
    if it.imap.command_timeout_seconds > it.imap.conversation_timeout_seconds:
        yield f"{_where('imap.command_timeout_seconds')} must not be longer than imap.conversation_timeout_seconds"
    if it.metrics.password is None and not is_loopback(it.metrics.host):
        wanted = "set PUNKTUAL_METRICS_PASSWORD, or leave it at 127.0.0.1"
        yield f"{_where('metrics.host')} is open to other machines: {wanted}"
    if it.metrics.password is not None and not it.metrics.password.get_secret_value():
        yield "PUNKTUAL_METRICS_PASSWORD is empty"
    if it.retention.letters_days != "off" and it.retention.letters_days < it.imap.inbox_days_back:
        because = "answers are read beside letters"
        yield f"{_where('retention.letters_days')} must not be shorter than imap.inbox_days_back: {because}"
    if not all(map(_is_key, it.secret_keys)):
        yield "PUNKTUAL_SECRET_KEY must be what `python -m admin new-key` prints; earlier keys may follow, after commas"
    yield from _open_to_strangers(it.web)
    if it.planning.horizon_hours * 60 < it.planning.buffer_minutes:
        yield f"{_where('planning.horizon_hours')} must be longer than planning.buffer_minutes"


def _is_key(text: str) -> bool:
    """Whether the text has the form of a Fernet key."""
    try:
        return len(urlsafe_b64decode(text)) == 32
    except ValueError:
        return False


def _open_to_strangers(web: Web) -> Iterator[str]:
    wanted = "set PUNKTUAL_WEB_PASSWORD_HASH (`python -m admin new-password`) or PUNKTUAL_WEB_TOKEN"
    if not web.protected and not is_loopback(web.host):
        yield f"{_where('web.host')} is open to other machines: {wanted}, or leave it at 127.0.0.1"
    if not web.protected and web.behind_https:
        yield f"{_where('web.behind_https')} opens the pages to other machines: {wanted}"
    if web.password_hash is not None and not _ARGON2ID.fullmatch(web.password_hash.get_secret_value()):
        yield (
            "PUNKTUAL_WEB_PASSWORD_HASH must be what `python -m admin new-password` prints, in single quotes where a"
            " shell reads it"
        )
    if web.token is not None and not _TOKEN.fullmatch(web.token.get_secret_value()):
        yield "PUNKTUAL_WEB_TOKEN must have at least 20 printable ASCII characters and no space"


def is_loopback(host: str) -> bool:
    """Whether the host can only be this machine."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _refuse_secrets_in_file(path: Path) -> None:
    keys = _values(path)
    for name, section in Settings.model_fields.items():
        if name in keys and _is_section(section.annotation) and not isinstance(keys[name], dict):
            raise SettingsInvalid(f"{_place(path, (name,))}: must be a table of names and values, below [{name}]")
    for place, secret, name in (
        (keys, "secret_key", "PUNKTUAL_SECRET_KEY"),
        (keys.get("metrics", {}), "password", "PUNKTUAL_METRICS_PASSWORD"),
        (keys.get("notices", {}), "urls", "PUNKTUAL_NOTICES_URLS"),
        (keys.get("web", {}), "password_hash", "PUNKTUAL_WEB_PASSWORD_HASH"),
        (keys.get("web", {}), "token", "PUNKTUAL_WEB_TOKEN"),
    ):
        if secret in place:
            raise SettingsInvalid(f"{path.name}: {secret} belongs in the environment, as {name}")


def _refuse_wrong_types(path: Path) -> None:
    """Refuse values of a wrong type in the file: Settings() converts them, as it must for those of the environment."""
    values = _values(path)
    for name, section in Settings.model_fields.items():
        if not _is_section(section.annotation):
            continue
        try:
            section.annotation.model_validate(values.get(name, {}), strict=True)
        except ValidationError as error:
            for fault in faults.of(error):
                place = (name, *fault.place)
                if fault.kind.endswith("_type") and _variable(place) not in map(str.upper, os.environ):
                    raise SettingsInvalid(f"{_place(path, place)}: {fault.text}") from None


def _values(path: Path) -> dict[str, Any]:
    try:
        return faults.toml(_text(path))
    except faults.TomlInvalid as error:
        raise SettingsInvalid(f"{path.name} {error}") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise SettingsInvalid(f"{path.name} line {line}: is not UTF-8 text") from None
    except OSError as error:
        raise SettingsInvalid(f"{path}: cannot be read: {error.strerror}") from None


def _refuse_unknown_variables(environment: Mapping[str, str]) -> None:
    known = set(_variable_names()) | OTHER_VARIABLES
    for name in sorted(environment):
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            raise SettingsInvalid(f"{name}: {_no_such_setting(_dotted(name), name.upper(), known)}")


def _variable_names() -> Iterator[str]:
    for name, field in Settings.model_fields.items():
        if _is_section(field.annotation):
            yield from (f"{PREFIX}{name}_{key}".upper() for key in field.annotation.model_fields)
        else:
            yield f"{PREFIX}{name}".upper()


def _is_section(annotation: object) -> TypeGuard[type[Section]]:
    return isinstance(annotation, type) and issubclass(annotation, Section)


def _sentences(error: ValidationError) -> Iterator[str]:
    """One sentence per error, with the value's source: a variable, or a line of the file."""
    known = set(_dotted_names())
    for fault in faults.of(error):
        dotted = ".".join(fault.place)
        if fault.kind == "extra_forbidden":
            yield f"{_where(dotted)}: {_no_such_setting(dotted, dotted, known)}"
        elif fault.place:
            yield f"{_where(dotted)}: {fault.text}"
        else:
            yield str(fault.text)


def _place(path: Path, place: tuple[str, ...]) -> str:
    dotted, variable = ".".join(place), _variable(place)
    if variable in map(str.upper, os.environ):
        return f"{dotted} ({variable})"
    line = faults.line_of(_text(path), place)
    return f"{path.name}{f' line {line}' if line else ''}: {dotted}"


def _variable(place: tuple[str, ...]) -> str:
    return f"{PREFIX}{'_'.join(place)}".upper()


def _where(setting: str) -> str:
    place, files = tuple(setting.split(".")), _config_files()
    return _place(next((path for path in files if faults.line_of(_text(path), place)), files[0]), place)


def _dotted_names() -> Iterator[str]:
    return map(_dotted, _variable_names())


def _dotted(variable: str) -> str:
    return variable.upper().removeprefix(PREFIX).lower().replace("_", ".", 1)


def _no_such_setting(dotted: str, name: str, known: set[str]) -> str:
    return (
        f"this setting was removed: {_GONE[dotted]}"
        if dotted in _GONE
        else f"no such setting{faults.suggestion(name, known)}"
    )
