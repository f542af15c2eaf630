"""The command that runs the catcher, a test mail server."""

import signal
import threading
from typing import Annotated

import typer

import config
from ops.catcher import Catcher


def catcher(
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 1025,
    host: Annotated[str, typer.Option(help="Address to listen on. Change it inside a container.")] = "127.0.0.1",
) -> None:
    """Run a test mail server. It saves each e-mail as .eml under the data folder and forwards nothing."""
    folder = config.settings().var / "mails"
    with Catcher(folder, host, port) as running:
        print(f"catching mail on {host}:{running.port} into {folder}", flush=True)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print(f"caught {running.count} e-mails")
