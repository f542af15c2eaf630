"""Shows a message in the terminal."""

import email as parser
import sys
from email import policy

from ops.terminal import escape_controls


def readable(content: bytes) -> str:
    """The headers and text as a person reads them."""
    message = parser.message_from_bytes(content, policy=policy.default)
    headers = "\n".join(f"{name}: {value}" for name, value in message.items())
    body = message.get_body(("plain", "html"))
    return f"{headers}\n\n{body.get_content() if body else ''}".replace("\r\n", "\n")


def subject(content: bytes) -> str:
    return str(parser.message_from_bytes(content, policy=policy.default)["Subject"] or "")


def print_readable(content: bytes) -> None:
    print(escape_controls(readable(content), keep="\n\t"))


def write_raw(content: bytes) -> None:
    """Write the message to stdout byte for byte, for a file or a mail program."""
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()
