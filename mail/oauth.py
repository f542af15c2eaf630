"""OAuth2 with a provider's login server: an owner's consent, and access tokens from a refresh token.

oauthlib builds the requests (RFC 6749, RFC 7636, RFC 8628), requests sends them and verifies TLS. requests-oauthlib is
not used: it logs tokens, follows redirects with them, and reads answers of any length.
"""

import hmac
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import requests
from oauthlib.oauth2 import DeviceClient, WebApplicationClient

import clock
import config
from mail.login import masked
from mail.reply import no_reply
from reasons import Code, Reason

_LARGEST_ANSWER = 65_536  # bytes
_LONGEST_SECONDS = 10 * 366 * 86_400  # of what a login server may say about how long something lasts
_USUAL_SECONDS = 3600  # that an access token is valid, if the server does not say (RFC 6749 section 5.1)
_SLOWER_SECONDS = 5.0  # more between two questions, and the first pause by default (RFC 8628 sections 3.2 and 3.5)
# Errors of a login server that is in trouble itself. All others need a person.
_PASSING = {"temporarily_unavailable", "server_error", "slow_down"}
_PENDING = "authorization_pending"


class Provider(StrEnum):
    MICROSOFT = "microsoft"
    GOOGLE = "google"


# offline_access asks for a refresh token. Google's device codes allow no scope for mail.
SCOPES = {
    Provider.MICROSOFT: (
        "https://outlook.office.com/SMTP.Send",
        "https://outlook.office.com/IMAP.AccessAsUser.All",
        "offline_access",
    ),
    Provider.GOOGLE: ("https://mail.google.com/",),
}
# How Google is asked for a refresh token, also if it gave one before.
_OFFLINE = {"access_type": "offline", "prompt": "consent"}


@dataclass(frozen=True)
class App:
    """The owner's own app registration at a provider."""

    provider: Provider
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    tenant: str | None = None  # Microsoft's: an id or a domain of the organisation


@dataclass(frozen=True)
class Tokens:
    """What a login server gave."""

    access: str = field(repr=False)
    access_lasts: timedelta
    refresh: str | None = field(default=None, repr=False)  # None: the old one stays valid
    consent_lasts: timedelta | None = None  # until the refresh token ends, if the provider says


@dataclass(frozen=True)
class DeviceCode:
    code: str = field(repr=False)
    user_code: str  # that a person enters at the uri
    uri: str
    lasts_seconds: float
    pause_seconds: float  # between two questions


@dataclass(frozen=True)
class BrowserLogin:
    """A login that was begun in a browser."""

    url: str = field(repr=False)
    state: str = field(repr=False)
    verifier: str = field(repr=False)
    redirect_uri: str


class NoToken(Exception):
    """The login server gave no token. Its argument is a Reason, without secrets."""


class Away(NoToken):
    """The login server is away or in trouble: to be tried again later."""


class Refused(NoToken):
    """The login server refuses: a person must act."""

    def __init__(self, reason: Reason, error: str = "") -> None:
        super().__init__(reason)
        self.error = error  # the code of RFC 6749 section 5.2 or RFC 8628 section 3.5


def refresh(app: App, refresh_token: str) -> Tokens:
    """A new access token. Raises NoToken."""
    client = WebApplicationClient(app.client_id)
    body = client.prepare_refresh_body(
        refresh_token=refresh_token, scope=SCOPES[app.provider], client_id=app.client_id, **_secret(app)
    )
    return _tokens(_ask(_token_url(app), body, _secrets(app, refresh_token)))


def begin_on_device(app: App) -> DeviceCode:
    """Ask for a code that a person enters in any browser (RFC 8628 section 3.1). Raises NoToken."""
    url = f"{_microsoft(app)}/devicecode"
    client = DeviceClient(app.client_id, scope=SCOPES[app.provider])
    query = urlsplit(client.prepare_request_uri(url)).query  # of the parameters; they are sent in the body
    it = _ask(url, query, _secrets(app))
    code, user_code, uri = (_text(it, name) for name in ("device_code", "user_code", "verification_uri"))
    pause = _seconds(it, "interval")
    lasts = _seconds(it, "expires_in") or _USUAL_SECONDS
    return DeviceCode(code, user_code, uri, lasts, _SLOWER_SECONDS if pause is None else max(pause, 1))


def finish_on_device(app: App, device: DeviceCode, wait: Callable[[float], object]) -> Tokens:
    """Ask until the person has consented (RFC 8628 section 3.4). wait: for that many seconds. Raises NoToken."""
    client = DeviceClient(app.client_id)
    body = client.prepare_request_body(device_code=device.code, include_client_id=True, **_secret(app))
    pause, waited = device.pause_seconds, 0.0
    while waited < device.lasts_seconds:
        wait(pause)
        waited += pause
        try:
            return _tokens(_ask(_token_url(app), body, _secrets(app, device.code), may_slow_down=True))
        except Away:
            pause *= 2
        except Refused as refusal:
            if refusal.error == "slow_down":
                pause += _SLOWER_SECONDS
            elif refusal.error != _PENDING:
                raise
    raise Refused(Reason(Code.AUTHORIZATION_REFUSED, error="the code has expired, and nobody entered it"))


def begin_in_browser(app: App, redirect_uri: str, login_hint: str) -> BrowserLogin:
    """The page where a person consents, with PKCE (RFC 8252, RFC 7636). redirect_uri: on this machine."""
    client = WebApplicationClient(app.client_id)
    verifier, state = client.create_code_verifier(64), client.create_code_verifier(43)
    google = app.provider is Provider.GOOGLE
    page = config.settings().oauth.google_login_url if google else f"{_microsoft(app)}/authorize"
    url = client.prepare_request_uri(
        page,
        redirect_uri=redirect_uri,
        scope=SCOPES[app.provider],
        state=state,
        code_challenge=client.create_code_challenge(verifier, "S256"),
        code_challenge_method="S256",
        login_hint=login_hint,
        **(_OFFLINE if google else {}),
    )
    return BrowserLogin(url, state, verifier, redirect_uri)


def finish_in_browser(app: App, begun: BrowserLogin, redirected_to: str) -> Tokens:
    """Exchange the code with which the browser came back. Raises NoToken, also if it is the answer to another login."""
    found = {name: values[0] for name, values in parse_qs(urlsplit(redirected_to).query).items()}
    if not hmac.compare_digest(found.get("state", "").encode(), begun.state.encode()):
        raise Refused(Reason(Code.AUTHORIZATION_REFUSED, error="the answer belongs to another login"))
    if "code" not in found:
        raise _refusal(found, ())
    client = WebApplicationClient(app.client_id)
    body = client.prepare_request_body(
        code=found["code"], redirect_uri=begun.redirect_uri, code_verifier=begun.verifier, **_secret(app)
    )
    return _tokens(_ask(_token_url(app), body, _secrets(app, found["code"], begun.verifier)))


def _secret(app: App) -> dict[str, str]:
    return {"client_secret": app.client_secret} if app.client_secret else {}


def _secrets(app: App, *others: str) -> list[str]:
    """What an answer must not repeat."""
    return [each for each in (app.client_secret, *others) if each]


def _token_url(app: App) -> str:
    google = app.provider is Provider.GOOGLE
    return config.settings().oauth.google_token_url if google else f"{_microsoft(app)}/token"


def _microsoft(app: App) -> str:
    tenant = quote(app.tenant or "organizations", safe="")
    return f"{config.settings().oauth.microsoft_login_url.rstrip('/')}/{tenant}/oauth2/v2.0"


def _ask(url: str, body: str, secrets: Iterable[str], *, may_slow_down: bool = False) -> dict[str, Any]:
    """POST a form, and return the JSON object of a successful answer."""
    status, content = _post(url, body)
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict) or status >= 500 or status == 429 or 300 <= status < 400:
        raise _away(url, f"HTTP status {status}")
    if status == 200 and "error" not in fields:
        return fields
    error = fields.get("error")
    if error in _PASSING and not (may_slow_down and error == "slow_down"):
        raise _away(url, str(error))
    raise _refusal(fields, secrets)


def _post(url: str, body: str) -> tuple[int, bytes]:
    """Status and content. Follows no redirect: the body has secrets."""
    seconds = config.settings().oauth.timeout_seconds
    headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
    until, content = clock.boottime() + seconds, b""
    try:
        with requests.post(
            url, data=body, headers=headers, timeout=seconds, allow_redirects=False, stream=True
        ) as answer:
            for part in answer.iter_content(4096):
                content += part
                if len(content) > _LARGEST_ANSWER or clock.boottime() > until:
                    raise _away(url, "its answer is too long or too slow")
            return answer.status_code, content
    except requests.exceptions.SSLError as error:
        raise _away(url, f"TLS failed: {_last_words(error)}") from None
    except requests.Timeout:
        raise _away(url, "timed out") from None
    except requests.RequestException as error:
        raise _away(url, _last_words(error)) from None


def _last_words(error: Exception) -> str:
    """The cause, without what requests and urllib3 say around it."""
    cause = getattr(error.args[0] if error.args else None, "reason", None) or error
    return re.sub(r"^.*?(\]|>:?|: )\s*", "", str(cause), count=1)[:200] or type(error).__name__


def _away(url: str, error: str) -> Away:
    return Away(Reason(Code.LOGIN_SERVER_AWAY, host=urlsplit(url).hostname or "", error=no_reply(error).text))


def _refusal(fields: dict[str, Any], secrets: Iterable[str]) -> Refused:
    error = str(fields.get("error", ""))
    said = " ".join(str(fields[name]) for name in ("error", "error_description") if fields.get(name))
    # Microsoft adds a trace id and a time after the sentence.
    words = no_reply(masked(re.split(r"\s*Trace ID:|[\r\n]", said)[0], secrets)).text or "without a reason"
    match error:
        case "invalid_grant" | "interaction_required" | "consent_required":
            code = Code.ACCESS_ENDED
        case "invalid_client" | "unauthorized_client":
            code = Code.APP_REFUSED
        case _:
            code = Code.AUTHORIZATION_REFUSED
    return Refused(Reason(code, error=words), error)


def _tokens(it: dict[str, Any]) -> Tokens:
    refresh = it.get("refresh_token")
    consent = _seconds(it, "refresh_token_expires_in") or _seconds(it, "refresh_expires_in")
    lasts = _seconds(it, "expires_in")
    return Tokens(
        access=_text(it, "access_token"),
        access_lasts=timedelta(seconds=_USUAL_SECONDS if lasts is None else lasts),
        refresh=refresh if isinstance(refresh, str) and refresh else None,
        consent_lasts=None if consent is None else timedelta(seconds=consent),
    )


def _text(it: dict[str, Any], name: str) -> str:
    value = it.get(name)
    # A token goes into headers and SASL messages: no spaces, no control characters (RFC 6750 section 2.1).
    if not isinstance(value, str) or not re.fullmatch(r"[\x21-\x7e]{1,16384}", value):
        raise Refused(Reason(Code.AUTHORIZATION_REFUSED, error=f"its answer has no {name}"))
    return value


def _seconds(it: dict[str, Any], name: str) -> float | None:
    """A duration that the server tells, as a number or in quotes. None: it does not, or no sensible one."""
    try:
        seconds = float(it.get(name, ""))
    except (TypeError, ValueError):
        return None
    return seconds if 0 <= seconds <= _LONGEST_SECONDS else None
