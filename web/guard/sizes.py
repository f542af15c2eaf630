"""How large a request may be: small, unless its page takes a letter or a file.

Asked twice: by the channel, before a body is received, and by Flask, before it is read.
"""

import re

from apiflask import APIFlask
from flask import request

from models.people.lead_uploads import LARGEST

MOST_BYTES = 64 * 1024
# Beside the file: the form around it.
MOST_UPLOAD_BYTES = LARGEST + 1024 * 1024
# Two templates of the longest kind, in UTF-8.
MOST_FORM_BYTES = 2 * 1024 * 1024
_LARGE = re.compile(r"/(campaigns/(new|[0-9]{1,19}/(edit|leads))|suppressions/import)")


def most_bytes(method: str, path: str) -> int:
    return MOST_UPLOAD_BYTES if method == "POST" and _LARGE.fullmatch(path) else MOST_BYTES


def init(app: APIFlask) -> None:
    """Before anything that reads a form."""
    app.config.update(MAX_CONTENT_LENGTH=MOST_BYTES, MAX_FORM_MEMORY_SIZE=MOST_BYTES, MAX_FORM_PARTS=300)
    app.before_request(_limit)


def _limit() -> None:
    most = most_bytes(request.method, request.path)
    if most > MOST_BYTES:
        # Only a form with files may be so large.
        request.max_content_length = most if request.mimetype == "multipart/form-data" else MOST_FORM_BYTES
        request.max_form_memory_size = MOST_FORM_BYTES
