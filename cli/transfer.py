"""The commands that train, score, predict, demonstrate and look at the machine."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

TaskName = Annotated[str, typer.Argument(metavar="TASK", help="A task of the catalogue, or the path of a declaration.")]
RunFolder = Annotated[str, typer.Argument(metavar="RUN", help="A run folder.")]
Adapter = Annotated[str, typer.Option(help="The fresh module: bottleneck(reduction=16), lora(r=8, alpha=16), ...")]
BackboneName = Annotated[str, typer.Option("--backbone", help="mini, xlm-roberta-large, a folder or a Hub name.")]
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="The folder of original files.")]
Out = Annotated[Path | None, typer.Option("--out", help="The run folder to make.")]
Precision = Annotated[str, typer.Option(help="fp32, bf16, fp16, int8, nf4, or auto: what is fastest here.")]
Protocol = Annotated[
    str, typer.Option(help="modules; or jiant or xtreme, as published: their rates are for tuning a whole encoder.")
]
TopLayers = Annotated[int | None, typer.Option(help="Put the fresh module into the top K layers only.")]
Epochs = Annotated[float | None, typer.Option(help="Passes over the training data; the protocol's by default.")]
Steps = Annotated[int | None, typer.Option(help="Updates, instead of epochs.")]
MaxExamples = Annotated[int | None, typer.Option(help="Train on a fixed random draw of so many examples.")]
MaxEvalExamples = Annotated[int | None, typer.Option(help="Score the first so many examples of each language.")]
BatchSize = Annotated[int | None, typer.Option(help="Examples an update; the protocol's by default.")]
Lr = Annotated[float | None, typer.Option("--lr", help="Peak learning rate; the module kind's by default.")]
Seed = Annotated[
    str, typer.Option(help="Seed of initial weights, order and dropout; several, as 0,1,2, train in one pass.")
]
TokenBudget = Annotated[int | None, typer.Option(help="Padded tokens of one pass; by default what fits into memory.")]
TrainWith = Annotated[
    str | None, typer.Option("--train-with", metavar="TASK", help="Train on this task's English examples instead.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")]
Languages = Annotated[str | None, typer.Option(help="all, or e.g. de,sw.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


def _report(runs: list[Any], as_json: bool) -> None:
    if as_json:
        documents = [{"run": str(run.folder), **run.metrics} for run in runs]
        typer.echo(json.dumps(documents[0] if len(runs) == 1 else documents, ensure_ascii=False, indent=2))
        return
    for run in runs:
        _show(run)


def _show(run: Any) -> None:
    from adapterxfer.transfer.evaluate import scores_table

    record = run.record
    typer.echo(scores_table(run.metrics))
    typer.echo(
        f"\n{record['composition']['requested']} on {record['backbone']['name']} ({record['backbone']['precision']}), "
        f"{record['trainable_parameters']:,} trained parameters, {record['data']['examples']:,} examples, "
        f"{record['training']['updates']} updates in {record['training']['seconds']:.0f} s"
    )
    for restart in record["training"]["restarts"]:
        typer.echo(f"begun once more: with seed {restart['seed']} {restart['why']}")
    for name, count in record["data"]["dropped"].items():
        typer.echo(f"left out of training: {count} ({name})")
    for note in record["notes"]:
        typer.echo(f"note: {note}")
    typer.echo(f"run folder: {run.folder}")


def train_intermediate(
    task: TaskName,
    adapter: Adapter = "bottleneck",
    backbone: BackboneName = "xlm-roberta-large",
    data_dir: DataDir = None,
    out: Out = None,
    precision: Precision = "auto",
    protocol: Protocol = "modules",
    top_layers: TopLayers = None,
    epochs: Epochs = None,
    steps: Steps = None,
    batch_size: BatchSize = None,
    max_examples: MaxExamples = None,
    max_eval_examples: MaxEvalExamples = None,
    lr: Lr = None,
    seed: Seed = "0",
    token_budget: TokenBudget = None,
    resume: Resume = False,
    as_json: Json = False,
) -> None:
    """Train an English intermediate task as one module on the frozen backbone."""
    from adapterxfer.modules.parse import parse_spec
    from adapterxfer.transfer.asked import Training, seeds_of
    from adapterxfer.transfer.train import train_together

    training = Training(
        task,
        parse_spec(adapter),
        "intermediate",
        out=out,
        data_dir=data_dir,
        protocol=protocol,
        top_layers=top_layers,
        epochs=epochs,
        steps=steps,
        batch_size=batch_size,
        max_examples=max_examples,
        max_eval_examples=max_eval_examples,
        lr=lr,
        token_budget=token_budget,
    )
    trainings = training.with_seeds(seeds_of(seed))
    _report(train_together(trainings, backbone, precision=precision, resume=resume), as_json)


def train_target(
    task: TaskName,
    compose: Annotated[str | None, typer.Option(help="e.g. 'Stack(runs/mnli, bottleneck())'.")] = None,
    strategy: Annotated[str | None, typer.Option(help="baseline, stack, continue, fuse or merge.")] = None,
    sources: Annotated[str | None, typer.Option("--from", metavar="RUN,RUN", help="The runs a strategy uses.")] = None,
    adapter: Adapter = "bottleneck",
    backbone: BackboneName = "xlm-roberta-large",
    data_dir: DataDir = None,
    out: Out = None,
    precision: Precision = "auto",
    protocol: Protocol = "modules",
    top_layers: TopLayers = None,
    epochs: Epochs = None,
    steps: Steps = None,
    batch_size: BatchSize = None,
    max_examples: MaxExamples = None,
    max_eval_examples: MaxEvalExamples = None,
    languages: Languages = None,
    train_with: TrainWith = None,
    lr: Lr = None,
    seed: Seed = "0",
    token_budget: TokenBudget = None,
    resume: Resume = False,
    as_json: Json = False,
) -> None:
    """Train a target task on English, through a composition; score it zero-shot in every language."""
    from adapterxfer.modules.parse import parse_spec
    from adapterxfer.transfer.asked import Training, composition_of, seeds_of
    from adapterxfer.transfer.train import train_together

    named = [part.strip() for part in (sources or "").split(",") if part.strip()]
    expression = composition_of(compose, strategy, named, parse_spec(adapter))
    if strategy is not None:
        typer.echo(f"--strategy {strategy} stands for --compose '{expression}'", err=True)
    training = Training(
        task,
        expression,
        out=out,
        languages=languages,
        train_with=train_with,
        data_dir=data_dir,
        protocol=protocol,
        top_layers=top_layers,
        epochs=epochs,
        steps=steps,
        batch_size=batch_size,
        max_examples=max_examples,
        max_eval_examples=max_eval_examples,
        lr=lr,
        token_budget=token_budget,
    )
    trainings = training.with_seeds(seeds_of(seed))
    _report(train_together(trainings, backbone, precision=precision, resume=resume), as_json)


def evaluate(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run folder, or a backbone's name (retrieval).")],
    task: Annotated[str | None, typer.Option(help="Score on this task; the run's own by default.")] = None,
    languages: Languages = None,
    split: Annotated[str | None, typer.Option(help="The split; the task's evaluation split by default.")] = None,
    data_dir: DataDir = None,
    protocol: Annotated[str | None, typer.Option(help="modules, jiant or xtreme; the run's own by default.")] = None,
    precision: Annotated[str | None, typer.Option(help="As in training; the run's own by default.")] = None,
    max_eval_examples: MaxEvalExamples = None,
    layer: Annotated[int | None, typer.Option(help="Read the encoder after this many layers (retrieval).")] = None,
    pooling: Annotated[str | None, typer.Option(help="A text's vector: mean or first token (retrieval).")] = None,
    retrieval_score: Annotated[str, typer.Option(help="cosine, csls, ratio or distance (retrieval, mining).")] = "",
    centre: Annotated[bool, typer.Option("--centre", help="Subtract each side's mean (retrieval, mining).")] = False,
    whiten: Annotated[bool, typer.Option("--whiten", help="Whiten both sides (retrieval, mining).")] = False,
    as_json: Json = False,
) -> None:
    """Score a run in every language, on its own task or another; or a backbone alone on a retrieval task."""
    from adapterxfer.features.rows import Comparison
    from adapterxfer.transfer.evaluate import evaluate as score

    scores = score(
        run,
        task,
        languages=languages,
        split=split,
        data_dir=data_dir,
        protocol=protocol,
        precision=precision,
        max_eval_examples=max_eval_examples,
        layer=layer,
        pooling=pooling,
        comparison=Comparison(retrieval_score, centre, whiten),
    )
    typer.echo(json.dumps(scores.as_dict(), ensure_ascii=False, indent=2) if as_json else scores.table())


def predict(
    run: RunFolder,
    text: Annotated[
        list[str] | None, typer.Option(help="One input; repeat for its parts, in the task's order.")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="JSON lines, one input each.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write JSON lines here instead of to stdout.")] = None,
) -> None:
    """Predict your own texts, in any language."""
    from adapterxfer.errors import UserError

    if bool(text) == (file is not None):
        raise UserError("give either --text or --file.")
    from adapterxfer.files import write_json_lines
    from adapterxfer.transfer.predict import predict as answer
    from adapterxfer.transfer.predict import read_inputs

    predictions = answer(run, list(text) if text else read_inputs(file))  # type: ignore[arg-type]
    if out is not None:
        write_json_lines(out, predictions)
        typer.echo(f"{len(predictions)} predictions in {out}", err=True)
        return
    for prediction in predictions:
        typer.echo(json.dumps(prediction, ensure_ascii=False))


def doctor(as_json: Json = False) -> None:
    """Say what this machine has, and what will run at which precision."""
    from adapterxfer.transfer.doctor import examine

    report = examine()
    typer.echo(json.dumps(report.as_dict(), ensure_ascii=False, indent=2) if as_json else report.text())


def demo(
    out: Annotated[Path, typer.Option("--out", help="The folder for runs and report.")] = Path("runs/demo"),
    resume: Resume = False,
) -> None:
    """Do the main job on the embedded backbone and the bundled sample, offline: train, transfer, report."""
    from adapterxfer.grid.demo import run_demo

    report = run_demo(out, resume=resume)
    typer.echo(report.text())
