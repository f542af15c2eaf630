"""The command that runs the catcher, a test mail server."""

import signal
import sys
import threading
from typing import Annotated

import typer

import bounds
import config
from ops.catcher import Catcher


def catcher(
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 1025,
    host: Annotated[str, typer.Option(help="Address to listen on. Change it inside a container.")] = "127.0.0.1",
) -> None:
    """Run a test mail server. It saves each e-mail as .eml under the data folder and forwards nothing."""
    folder = config.settings().var / "mails"
    bounds.check({"port": bounds.PORT}, {"port": port})
    try:
        catching = Catcher(folder, host, port)
    except OSError as error:
        sys.exit(f"punktual: cannot listen on {host}:{port}: {error.strerror} (--port and --host name another place)")
    with catching as running:
        print(f"catching mail on {host}:{running.port} into {folder}", flush=True)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print(f"caught {running.count} e-mails")
