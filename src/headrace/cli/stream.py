"""``headrace stream``: keep the online store up to date from streams, and see how that goes."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from headrace.cli.commands import command_app
from headrace.cli.options import ProjectOption

if TYPE_CHECKING:
    from headrace.platform import Platform
    from headrace.platform.stream_pace import Pace

app = command_app()

_WAKE_SECONDS: Final = 0.5


@app.callback(invoke_without_command=True)
def stream(
    ctx: typer.Context,
    source: Annotated[
        list[str] | None, typer.Option("--source", "-s", help="A source; all with a stream by default.")
    ] = None,
    until_idle: Annotated[bool, typer.Option(help="Stop once all that is there is read.")] = False,
    reset: Annotated[bool, typer.Option(help="Forget what an earlier run remembered.")] = False,
    reload: Annotated[list[str] | None, typer.Option(help="A view that begins again with what is published.")] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="How many processes share its partitions.")] = 1,
    epoch: Annotated[
        float | None, typer.Option(help="Seconds that an epoch gathers: 0.5, or 1 where steps are written.", min=0.0)
    ] = None,
    page: Annotated[int | None, typer.Option(help="Serve the live page at this port of this machine.")] = None,
    project: ProjectOption = Path(),
) -> None:
    if ctx.invoked_subcommand is not None:
        return
    from headrace.platform import Platform
    from headrace.platform.stream_pace import Pace
    from headrace.platform.stream_sinks import Sinks

    platform = Platform.open(project)
    sinks = Sinks.of(platform.context.settings.stream_sinks)
    epoch = epoch if epoch is not None else 1.0 if sinks.lake or sinks.topics else 0.5
    pace = Pace(epoch, until_idle=until_idle, every_step=sinks.lake, reload=tuple(reload or ()))
    names = source or [each.name for each in platform.context.definitions.sources.values() if each.stream is not None]
    if not names:
        raise typer.BadParameter("no source has a stream: give one stream=hr.Kafka(…) or stream=hr.Files(…).")
    _run(platform, names, pace, workers=workers, reset=reset, page=page)


@app.command(help="Show how far each stream has come, and how it does.")
def status(
    source: Annotated[str | None, typer.Option("--source", "-s", help="The source; all by default.")] = None,
    partitions: Annotated[bool, typer.Option(help="Show each partition too.")] = False,
    project: ProjectOption = Path(),
) -> None:
    from headrace.cli.streams_shown import print_stream_status
    from headrace.platform import Platform

    print_stream_status(Platform.open(project).stream_status(source), partitions=partitions)


def _run(platform: Platform, names: list[str], pace: Pace, *, workers: int, reset: bool, page: int | None) -> None:
    """Run each source's stream in a thread of its own; if one fails, all stop."""
    import gc
    import threading
    from concurrent.futures import ThreadPoolExecutor, wait

    from headrace.cli.stopping import asked_to_stop
    from headrace.server.page_running import page_beside

    gc.set_threshold(200_000, 20, 100)  # an epoch makes 100,000s of records; each looked through again and again
    shown = nullcontext("") if page is None else page_beside(platform.context, "127.0.0.1", page)
    failed = threading.Event()

    def run(name: str) -> None:
        try:
            platform.stream(
                name, pace, workers=workers, reset=reset, stop=lambda: failed.is_set() or asked(),
                tell=lambda text: typer.secho(f"{name}: {text}", fg="yellow", err=True),
            )  # fmt: skip
        except BaseException:
            failed.set()
            raise

    with asked_to_stop() as asked, shown as url, ThreadPoolExecutor(len(names)) as threads:
        if url:
            typer.echo(f"The streams are shown at {url}", err=True)
        typer.echo(f"Streaming {', '.join(names)}. Ctrl-C ends it in good order.", err=True)
        running = [threads.submit(run, name) for name in names]
        while wait(running, _WAKE_SECONDS).not_done:  # a signal that came to another thread is heard of on waking
            pass
        for done in running:
            done.result()
