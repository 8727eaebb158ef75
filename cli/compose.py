"""The command that makes one module of several."""

from pathlib import Path
from typing import Annotated

import typer


def compose(
    expression: Annotated[str, typer.Argument(metavar="EXPR", help="e.g. 'Merge(ties, runs/a, runs/b, density=0.2)'.")],
    out: Annotated[Path, typer.Option("--out", help="The folder to make.")],
) -> None:
    """Merge or package trained modules into one folder that adapters or peft load."""
    from adapterxfer.modules.compose import compose as write

    typer.echo(f"{expression} in {write(expression, out)}")
