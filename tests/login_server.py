"""A provider's login server for tests: HTTPS, with device codes, PKCE, refresh tokens that rotate, and its bad days.

It has the paths of Microsoft's and of Google's, told apart by what is registered: an app is a client id with a secret
or none.
"""

import base64
import hashlib
import json
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from tests.certificates import Certificate
from tests.waiting import BOUND

# Instead of an answer, or a status and a body.
Answer = tuple[int, bytes]
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass
class Consent:
    """What a person agreed to, or is asked to."""

    client_id: str
    account: str | None = None  # None: nobody has consented yet
    challenge: str | None = None  # of PKCE
    redirect_uri: str | None = None


class LoginServer:
    """account: who signs in. next_answers: instead of the next ones of the token endpoint, one each.

    rotates: each refresh token is good for one request. extra: fields added to each answer with tokens.
    """

    host = "localhost"

    def __init__(self, account: str = "ola@sender.example", *, rotates: bool = True) -> None:
        self.account, self.rotates = account, rotates
        self.clients: dict[str, str | None] = {"an-app": None}
        self.next_answers: list[Answer] = []
        self.extra: dict[str, Any] = {}
        self.expires_in: object = 3600
        self.interval: object = 5
        self.gives_refresh_tokens = True
        self.consents_at_once = False  # to a code on a device
        self.forms: list[dict[str, str]] = []  # of the token endpoint
        self.devices: list[dict[str, str]] = []  # of the device endpoint
        self.access: dict[str, str] = {}  # token -> account
        self.refresh: dict[str, str] = {}
        self.held: threading.Event | None = None  # answers wait for it
        self.certificate = Certificate(self.host)
        self._consents: dict[str, Consent] = {}  # by device code or code
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Request)
        self._server.owner = self  # type: ignore[attr-defined]
        self._server.socket = self.certificate.server_context.wrap_socket(self._server.socket, server_side=True)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.held:
            self.held.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"https://{self.host}:{self._server.server_address[1]}"

    @property
    def settings(self) -> dict[str, str]:
        """For the fixture of the same name, without the trust in its certificate."""
        return {
            "OAUTH_MICROSOFT_LOGIN_URL": self.url,
            "OAUTH_GOOGLE_LOGIN_URL": f"{self.url}/auth",
            "OAUTH_GOOGLE_TOKEN_URL": f"{self.url}/token",
        }

    def is_token_of(self, account: str, token: str) -> bool:
        """For a mail server that accepts this server's tokens."""
        return self.access.get(token) == account

    def consents(self) -> None:
        """The person enters the code of each device that waits."""
        for each in self._consents.values():
            each.account = self.account

    def revoke(self) -> None:
        self.access.clear()
        self.refresh.clear()

    def page(self, query: Mapping[str, str]) -> str:
        """The person consents in a browser: where the browser is sent then."""
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        consent = Consent(query["client_id"], self.account, query["code_challenge"], query["redirect_uri"])
        self._consents[code] = consent
        return f"{query['redirect_uri']}?state={query['state']}&code={code}&session_state=1"

    def device(self, form: dict[str, str]) -> Answer:
        self.devices.append(form)
        if form["client_id"] not in self.clients:
            return no("unauthorized_client", "AADSTS700016: Application was not found. Trace ID: 1")
        code = secrets.token_urlsafe(24)
        self._consents[code] = Consent(form["client_id"], self.account if self.consents_at_once else None)
        shown = {"device_code": code, "user_code": "ABCD-EFGH", "verification_uri": "https://login.example/device"}
        return yes(shown | {"expires_in": 900, "interval": self.interval})

    def token(self, form: dict[str, str]) -> Answer:
        self.forms.append(form)
        if self.held:
            self.held.wait(BOUND)
        with self._lock:
            return self.next_answers.pop(0) if self.next_answers else self._token(form)

    def _token(self, form: dict[str, str]) -> Answer:
        if self.clients.get(form["client_id"], "nobody's") != form.get("client_secret"):
            return no("invalid_client", "AADSTS7000215: Invalid client secret provided.")
        match form["grant_type"]:
            case "refresh_token":
                old = form["refresh_token"]
                account = self.refresh.pop(old, None) if self.rotates else self.refresh.get(old)
                return self._give(account) if account else no("invalid_grant", f"AADSTS700082: {old} has expired.")
            case "authorization_code":
                found = self._consents.pop(form["code"], None)
                digest = hashlib.sha256(form["code_verifier"].encode()).digest()
                challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
                if not found or (found.challenge, found.redirect_uri) != (challenge, form["redirect_uri"]):
                    return no("invalid_grant", "the code is not yours")
                return self._give(found.account)
            case grant if grant == DEVICE:
                found = self._consents[form["device_code"]]
                return self._give(found.account) if found.account else no("authorization_pending", "not yet")
        return no("unsupported_grant_type", "")

    def _give(self, account: str | None) -> Answer:
        assert account
        access, refresh = f"access.{secrets.token_urlsafe(300)}", f"refresh.{secrets.token_urlsafe(300)}"
        self.access[access] = account
        given = {"token_type": "Bearer", "access_token": access, "expires_in": self.expires_in}
        if self.gives_refresh_tokens and self.rotates | (account not in self.refresh.values()):
            self.refresh[refresh] = account
            given["refresh_token"] = refresh
        return yes(given | self.extra)


def yes(fields: Mapping[str, object]) -> Answer:
    return 200, json.dumps(fields).encode()


def no(error: str, words: str = "", status: int = 400) -> Answer:
    return status, json.dumps({"error": error, "error_description": words}).encode()


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        owner: LoginServer = self.server.owner  # type: ignore[attr-defined]
        form = _single(self.rfile.read(int(self.headers["Content-Length"])).decode())
        status, content = owner.device(form) if self.path.endswith("/devicecode") else owner.token(form)
        self._say(status, content, **({"Location": f"{owner.url}/elsewhere"} if status // 100 == 3 else {}))

    def do_GET(self) -> None:
        owner: LoginServer = self.server.owner  # type: ignore[attr-defined]
        query = _single(urlsplit(self.path).query)
        if self.path.startswith("/introspect"):  # a mail server asks whose token it got
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            account = owner.access.get(token)
            self._say(200 if account else 401, json.dumps({"email": account} if account else {}).encode())
            return
        self._say(302, b"", Location=owner.page(query))

    def _say(self, status: int, content: bytes, **headers: str) -> None:
        with suppress(OSError):
            self.send_response(status)
            for name, value in (headers | {"Content-Type": "application/json"}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def _single(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query, strict_parsing=True).items()}


@contextmanager
def login_server(
    settings: Callable[..., None], set_variable: Callable[[str, str], None], **how: Any
) -> Iterator[LoginServer]:
    """One that this process's settings name, and whose certificate it trusts."""
    with TemporaryDirectory() as folder, LoginServer(**how) as server:
        trusted = Path(folder) / "trusted.pem"
        trusted.write_bytes(server.certificate.public)
        set_variable("REQUESTS_CA_BUNDLE", str(trusted))
        settings(**server.settings)
        yield server
