"""The command line: parse, call one function of the library, print. torch is imported inside commands only."""

import sys
from typing import Annotated

import typer

from adapterxfer.cli import benchmark, compare, compose, tasks, transfer
from adapterxfer.cli.errors import run_and_exit

app = typer.Typer(
    name="adapterxfer",
    help="English intermediate tasks as stackable adapters and LoRA modules for cross-lingual transfer.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(tasks.app, name="tasks")
app.command("train-intermediate")(transfer.train_intermediate)
app.command("train-target")(transfer.train_target)
app.command("evaluate")(transfer.evaluate)
app.command("compare")(compare.compare)
app.command("consistency")(compare.consistency)
app.command("benchmark")(benchmark.benchmark)
app.command("compose")(compose.compose)
app.command("predict")(transfer.predict)
app.command("doctor")(transfer.doctor)
app.command("demo")(transfer.demo)


def _version(value: bool) -> None:
    if value:
        from adapterxfer import __version__

        typer.echo(f"adapterxfer {__version__}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of what stops a command.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """English intermediate tasks as stackable adapters and LoRA modules for cross-lingual transfer."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; `--debug` may stand anywhere."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    run_and_exit(lambda: app([word for word in words if word != "--debug"]), debug)
