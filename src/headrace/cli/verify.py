"""``headrace verify``: compare a view's offline, online and recomputed values, and explain each difference."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.commands import command_app
from headrace.cli.options import ProjectOption

if TYPE_CHECKING:
    from headrace.platform import Platform
    from headrace.platform.verify_report import VerifyReport

app = command_app()


@app.command()
def verify(
    view: Annotated[str | None, typer.Argument(help="The view, or with --served the service; all by default.")] = None,
    entities: Annotated[int, typer.Option("--entities", min=1, help="How many entities, at most.")] = 100,
    times: Annotated[int, typer.Option("--times", min=1, help="How many times for each of them.")] = 100,
    comparisons: Annotated[
        int | None, typer.Option("--comparisons", min=1, help="About so many values of a view, instead of --times.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Which sample: the same one each time.")] = 0,
    stream: Annotated[
        bool,
        typer.Option("--stream", help="Compare each step of the stream with the batch lane's, and what is served."),
    ] = False,
    served: Annotated[
        bool, typer.Option("--served", help="Compare the log of what was served with the offline truth of its time.")
    ] = False,
    since: Annotated[str | None, typer.Option("--since", help="With --served: answers from then on.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="With --served: answers before.")] = None,
    sample: Annotated[
        float | None, typer.Option("--sample", min=0, max=1, help="With --served: a share of the requests.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many differences a cause.")] = 5,
    project: ProjectOption = Path(),
) -> None:
    from headrace.platform import Platform

    platform = Platform.open(project)
    if served:
        _verify_served(platform, view, since, until, sample, limit)
        return
    if stream:
        _verify_stream(platform, view, entities, seed, limit)
        return
    unexplained = 0
    for name in [view] if view else platform.definitions.views:
        report = platform.verify(name, entities=entities, times=times, seed=seed, comparisons=comparisons)
        _print_report(report, limit)
        unexplained += report.unexplained
    if unexplained:
        raise typer.Exit(1)


def _verify_served(
    platform: Platform, service: str | None, since: str | None, until: str | None, sample: float | None, limit: int
) -> None:
    from headrace.cli.verify_served_shown import print_served_report

    report = platform.verify_served(service, start=since, end=until, sample=sample)
    print_served_report(report, limit)
    if report.faults:
        raise typer.Exit(1)


def _verify_stream(platform: Platform, view: str | None, entities: int, seed: int, limit: int) -> None:
    from headrace.cli.verify_stream_shown import print_stream_report

    reports = platform.verify_stream(view, entities=entities, seed=seed)
    if not reports:
        typer.echo("no view is served from a stream: a source needs stream=, and a view online=True.")
    for report in reports:
        print_stream_report(report, limit)
    if any(report.unexplained for report in reports):
        raise typer.Exit(1)


def _print_report(report: VerifyReport, limit: int) -> None:
    """A line for all, then each cause and the first of its differences."""
    if report.version is None:
        typer.echo(f"{report.view} was never published: headrace backfill {report.view}")
        return
    online = "nothing is in the online store" if report.online is None else f"version {report.online} online"
    typer.echo(
        f"{report.view}, version {report.version} offline, {online}: {report.equal:,} of {report.comparisons:,} values "
        f"are the same everywhere ({report.online_comparisons:,} read online too), in {report.seconds:.1f} s."
    )
    for cause, number in report.by_cause.items():
        typer.echo(f"\n{report.view}: {number:,} differ: {cause}")
        for found in [found for found in report.differences if found.cause == cause][:limit]:
            typer.echo(f"  {found}")
