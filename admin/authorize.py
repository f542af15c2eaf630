"""`mailbox authorize`: an owner's consent to OAuth2, by a code entered in any browser or in this machine's own.

Nothing is stored before the mail server has accepted the token for this mailbox.
"""

import os
import threading
from collections.abc import Callable
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Annotated

import typer

from admin.person import who
from logins import servers, tokens
from mail import oauth, smtp
from mail.address import normalise
from mail.connection import Timeouts
from mail.message import refuse_control_characters
from mail.oauth import App, NoToken, Provider, Tokens
from mail.outcome import Deferred, Phase, Refused
from models.owner import authorizations, mailboxes
from models.owner.mailboxes import MailboxInvalid
from models.store.tables import Mailbox
from ops.terminal import escape_controls
from reasons import why

_BROWSER_SECONDS = 600.0  # for the person to consent
_REQUEST_SECONDS = 10.0  # for a request of the browser
_LONGEST = 320  # characters of an id or a name
# Domains of Microsoft's personal accounts, which belong to no organisation.
_PERSONAL = {"outlook.com", "hotmail.com", "live.com", "msn.com", "outlook.pl", "hotmail.pl"}


class Flow(StrEnum):
    CODE = "code"  # enter a code in any browser
    BROWSER = "browser"  # the browser comes back to this machine


def authorize(
    address: Annotated[str, typer.Argument(help="The mailbox's address.")],
    provider: Annotated[
        Provider | None, typer.Option(help="Whose mailbox it is. Default: the one authorized before.")
    ] = None,
    client_id: Annotated[
        str | None,
        typer.Option(
            help="Client id of your app registration. Its secret, if it has one, comes from"
            " PUNKTUAL_MAILBOX_CLIENT_SECRET. Default: those used before."
        ),
    ] = None,
    tenant: Annotated[
        str | None, typer.Option(help="Microsoft only: the organisation's id or domain. Default: the mailbox's domain.")
    ] = None,
    username: Annotated[str | None, typer.Option(help="User name at the mail server. Default: the address.")] = None,
    flow: Annotated[
        Flow | None,
        typer.Option(help="code: enter a code in any browser. browser: this machine's. Default: code for Microsoft."),
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port for the browser to come back to. Default: any free one.")
    ] = 0,
) -> None:
    """Log in to a mailbox of Microsoft 365 or Google with OAuth2, instead of a password.

    Example: python -m admin mailbox authorize ola@your-domain.pl --provider microsoft --client-id ID
    """
    row = mailboxes.find(normalise(address))
    app = _app(row, provider, client_id, tenant)
    username = _checked("--username", username or row.address)
    flow = flow or (Flow.BROWSER if app.provider is Provider.GOOGLE else Flow.CODE)
    if flow is Flow.CODE and app.provider is Provider.GOOGLE:
        raise MailboxInvalid("--flow: Google gives no codes for mail: use browser")
    try:
        got = by_code(app, row.address) if flow is Flow.CODE else by_browser(app, row.address, port)
    except NoToken as failure:
        raise MailboxInvalid(escape_controls(str(why(failure)))) from None
    store(row, username, app, got)
    print(f"authorized {row.address}: {describe(app.provider)}")


def describe(provider: str) -> str:
    return f"OAuth2 ({provider.capitalize()})"


def _app(row: Mailbox, provider: Provider | None, client_id: str | None, tenant: str | None) -> App:
    """The app registration from the options, completed from the mailbox's earlier authorization."""
    before = authorizations.of(row.id)
    secret = os.environ.get("PUNKTUAL_MAILBOX_CLIENT_SECRET") or None
    if before is not None and provider in (None, before.provider) and client_id in (None, before.client_id):
        known = tokens.app_of(before)
        return App(known.provider, known.client_id, secret or known.client_secret, tenant or known.tenant)
    if provider is None:
        raise MailboxInvalid("--provider: say whose mailbox it is, microsoft or google")
    if not client_id:
        raise MailboxInvalid(
            "--client-id: give the client id of your app registration; docs/oauth.md says how to get one"
        )
    if tenant and provider is Provider.GOOGLE:
        raise MailboxInvalid("--tenant: only Microsoft has tenants")
    if provider is Provider.MICROSOFT:
        tenant = _checked("--tenant", tenant or _tenant_of(row.address))
    return App(provider, _checked("--client-id", client_id), secret, tenant)


def _tenant_of(address: str) -> str:
    domain = address.rpartition("@")[2]
    return "consumers" if domain in _PERSONAL else domain


def _checked(option: str, value: str) -> str:
    refuse_control_characters(option, value)
    if len(value) > _LONGEST:
        raise MailboxInvalid(f"{option}: has more than {_LONGEST} characters")
    return value


def _wait(seconds: float) -> None:
    threading.Event().wait(seconds)


def by_code(app: App, address: str, wait: Callable[[float], object] = _wait) -> Tokens:
    device = oauth.begin_on_device(app)
    print(f"Open {escape_controls(device.uri)} in any browser and enter the code {escape_controls(device.user_code)}.")
    print(f"Sign in as {address} itself, not as an administrator. Waiting ...", flush=True)
    return oauth.finish_on_device(app, device, wait)


def by_browser(app: App, address: str, port: int) -> Tokens:
    # RFC 8252 section 7.3 wants the address; Microsoft registers only the name without a port.
    host = "localhost" if app.provider is Provider.MICROSOFT else "127.0.0.1"
    with _Redirect(port) as redirect:
        begun = oauth.begin_in_browser(app, f"http://{host}:{redirect.server_port}/", address)
        print(f"Open this page in a browser on this machine, and sign in as {address} itself:\n{begun.url}", flush=True)
        return oauth.finish_in_browser(app, begun, redirect.wait())


class _Redirect(HTTPServer):
    """Waits on the loopback interface for the browser that comes back from the provider."""

    def __init__(self, port: int) -> None:
        self.came_to: str | None = None
        try:
            super().__init__(("127.0.0.1", port), _Browser)
        except OSError as error:
            raise MailboxInvalid(f"--port: {port} cannot be used: {error.strerror}") from None

    def wait(self) -> str:
        """Wait until the browser comes back with the answer, and return the path and query of that request."""
        is_over = threading.Timer(_BROWSER_SECONDS, self.shutdown)
        is_over.daemon = True
        is_over.start()
        self.serve_forever(poll_interval=0.1)
        is_over.cancel()
        if self.came_to is None:
            raise MailboxInvalid("nobody consented in the browser within 10 minutes: run the command again")
        return self.came_to


class _Browser(BaseHTTPRequestHandler):
    server: _Redirect
    timeout = _REQUEST_SECONDS

    def do_GET(self) -> None:
        is_answer = self.path.startswith("/?") and "state=" in self.path
        text = b"Punktual has the answer. You can close this page." if is_answer else b"Not here."
        self.send_response(200 if is_answer else 404)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
        if is_answer and self.server.came_to is None:
            self.server.came_to = self.path
            threading.Thread(target=self.server.shutdown, daemon=True).start()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the request contains the authorization code."""


def store(row: Mailbox, username: str, app: App, got: Tokens) -> None:
    """Store the consent if its token logs in to this mailbox. Raises MailboxInvalid."""
    if got.refresh is None:
        raise MailboxInvalid("the provider gave no refresh token: allow offline access in the app registration")
    server = servers.smtp_with(row, username, got.access)
    outcome = smtp.log_in(server, row.address, Timeouts.configured())
    if isinstance(outcome, Deferred | Refused):
        raise MailboxInvalid(escape_controls(_why_not(outcome)))
    authorizations.grant(row.id, who(), username, tokens.granted(app, got))


def _why_not(outcome: Deferred | Refused) -> str:
    said = outcome.reply.instead or outcome.reply
    if outcome.phase is Phase.AUTH:
        return f"nothing was stored: {said}"
    return f"nothing was stored, because the SMTP server could not be asked ({outcome.phase}: {said}); run it again"
