"""The letter of the rivals: the same text and fields as Punktual's, built by the standard library."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate

_FIELD = re.compile(r"\{\{ (\w+) \}\}")
_POLICY = SMTP.clone(cte_type="7bit")


@dataclass(frozen=True)
class Mail:
    sender: str
    recipient: str
    fields: Mapping[str, str]
    message_id: str
    subject: str
    text: str


def build(mail: Mail) -> bytes:
    message = EmailMessage(_POLICY)
    message["From"] = f"Ola <{mail.sender}>"
    message["To"] = mail.recipient
    message["Subject"] = _filled(mail.subject, mail.fields)
    message["Date"] = formatdate()
    message["Message-ID"] = mail.message_id
    message.set_content(_filled(mail.text, mail.fields))
    return message.as_bytes()


def _filled(template: str, fields: Mapping[str, str]) -> str:
    return _FIELD.sub(lambda found: fields[found[1]], template)
