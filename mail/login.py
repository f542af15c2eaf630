"""Who logs in at which server and with what secret: OAuth2 messages, masks, and what a refused login means.

A mailbox has a password or an OAuth2 access token. XOAUTH2 is what Google and Microsoft document; OAUTHBEARER is its
standard form (RFC 7628).
"""

import base64
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import config
from mail.reply import Reply
from reasons import Code, Reason

OAUTH_MECHANISMS = ("XOAUTH2", "OAUTHBEARER")  # best first
# Ends the exchange after the server's error challenge; the refusal follows it.
AFTER_ERROR = {"XOAUTH2": "", "OAUTHBEARER": "\x01"}
_SHORTEST_PART = 6  # characters; a part of a secret at least this long is masked


@dataclass(frozen=True)
class Server:
    host: str
    port: int
    security: str  # "starttls", "tls" or "none"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)  # OAuth2 access token, instead of a password


def why_no_login(server: Server) -> Reason | None:
    """Why the password or token must not be sent to this server. None: it may be sent."""
    if server.security == "none" and not config.is_loopback(server.host):
        return Reason(Code.NO_PASSWORD_IN_CLEAR if server.token is None else Code.NO_TOKEN_IN_CLEAR)
    return None


def oauth_response(mechanism: str, server: Server) -> str:
    """The client's one message, before base64. Both providers document XOAUTH2 in this form; RFC 7628 section 3.1."""
    username, token = server.username or "", server.token or ""
    if mechanism == "XOAUTH2":
        return f"user={username}\x01auth=Bearer {token}\x01\x01"
    name = username.replace("=", "=3D").replace(",", "=2C")
    return f"n,a={name},\x01host={server.host}\x01port={server.port}\x01auth=Bearer {token}\x01\x01"


def error_status(challenge: bytes) -> str | None:
    """The status in the server's error challenge, given in base64 or decoded: "400", "invalid_token". None: no error.

    Nothing else of the challenge is repeated: it is the server's, and may contain what was sent.
    """
    for text in (challenge, _decoded(challenge)):
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(fields, dict):
            status = str(fields.get("status", ""))
            return status if re.fullmatch(r"\w{1,30}", status, re.ASCII) else "unknown"
    return None


def _decoded(challenge: bytes) -> bytes:
    try:
        return base64.b64decode(challenge, validate=True)
    except ValueError:
        return b""


# The server's words -> what they mean. Sources: learn.microsoft.com, "Deprecation of Basic authentication in Exchange
# Online" and "Authenticated client SMTP submission"; support.google.com/mail/answer/185833 (read 2026-11).
_SMTP_AUTH_OFF = re.compile(r"SmtpClientAuthentication is disabled", re.IGNORECASE)
_NO_PASSWORDS = re.compile(r"basic auth\w* (is )?(disabled|blocked|not supported)|BasicAuth(Blocked|Disabled)", re.I)
_APP_PASSWORD = re.compile(r"application-specific password|app password", re.IGNORECASE)


def explained(it: Reply, server: Server, *, at_login: bool) -> Reply:
    """The reply with what it means for the mailbox's owner, if it is a known refusal of a login, in whatever phase."""
    if it.code is None or it.code < 500 or server.username is None:
        return it
    if it.enhanced == "5.7.30" or _NO_PASSWORDS.search(it.text):
        return replace(it, instead=Reason(Code.NO_PASSWORDS_ANY_MORE, answer=str(it)))
    if not at_login:
        return it
    return replace(it, instead=meaning(str(it), server)) if it.code in (534, 535) else it


def meaning(answer: str, server: Server) -> Reason:
    """What a server's refusal of this login means."""
    if _SMTP_AUTH_OFF.search(answer):
        return Reason(Code.SMTP_AUTH_OFF, answer=answer)
    if server.token is not None:
        return Reason(Code.TOKEN_NOT_ACCEPTED, answer=answer)
    if _NO_PASSWORDS.search(answer):
        return Reason(Code.NO_PASSWORDS_ANY_MORE, answer=answer)
    return Reason(Code.APP_PASSWORD_NEEDED if _APP_PASSWORD.search(answer) else Code.PASSWORD_REFUSED, answer=answer)


def without_password(text: str, server: Server) -> str:
    """Mask password and token: some servers repeat them when they refuse a login, and their words are stored."""
    return masked(text, _forms(server))


def _forms(server: Server) -> list[str]:
    """The secret as it is sent, in any mechanism."""
    if server.token:
        responses = [oauth_response(mechanism, server) for mechanism in OAUTH_MECHANISMS]
        return [server.token, *(to_base64(each) for each in (server.token, *responses))]
    if not server.password:
        return []
    plain = f"\0{server.username}\0{server.password}"
    quoted = server.password.replace("\\", "\\\\").replace('"', '\\"')  # as sent by IMAP
    return [server.password, quoted, *(to_base64(each) for each in (server.password, plain))]


def masked(text: str, secrets: Iterable[str]) -> str:
    """Mask secrets and long enough parts of them: servers may cut the rest off."""
    forms = [secret for secret in secrets if secret]
    for form in forms:
        for length in range(min(len(form), len(text)), min(len(form), _SHORTEST_PART) - 1, -1):
            text = text.replace(form[:length], "***")
    return " ".join(_masked(word, forms) for word in text.split(" ")) if forms else text


def _masked(word: str, secrets: list[str]) -> str:
    part = word.strip("\"'`<>()[]{},;:")
    return "***" if len(part) >= _SHORTEST_PART and any(part in secret for secret in secrets) else word


def to_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
