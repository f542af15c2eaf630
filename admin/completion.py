"""`completion`: prints a shell function `punktual` that completes commands and options with the Tab key."""

import shlex
import sys
from enum import StrEnum
from typing import Annotated

import typer
from typer.completion import completion_init  # type: ignore[attr-defined]

import config

VARIABLE = "_PUNKTUAL_COMPLETE"  # set by the shell while it asks what could follow

_SCRIPT = """\
punktual() {{ PYTHONPATH={root} {python} -m admin "$@"; }}
_punktual() {{
    local IFS=$'\\n'
    COMPREPLY=( $(COMP_WORDS="${{COMP_WORDS[*]}}" COMP_CWORD=$COMP_CWORD {variable}=complete_bash punktual) )
}}
{before}complete -o default -F _punktual punktual
"""


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"


_BEFORE = {
    Shell.BASH: "",
    Shell.ZSH: "autoload -U +X compinit && compinit && autoload -U +X bashcompinit && bashcompinit\n",
}


def completion(shell: Annotated[Shell, typer.Argument(help="Your shell.")]) -> None:
    """Print a shell function `punktual`, which is this command from any folder, with completion by the Tab key.

    Example: python -m admin completion bash >> ~/.bashrc
    """
    root, python = shlex.quote(str(config.ROOT)), shlex.quote(sys.executable)
    print(_SCRIPT.format(root=root, python=python, variable=VARIABLE, before=_BEFORE[shell]), end="")


def complete(app: typer.Typer) -> None:
    """Answer the shell, and exit."""
    completion_init()
    app(prog_name="punktual", complete_var=VARIABLE)
