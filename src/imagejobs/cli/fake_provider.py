"""`imagejobs fake-provider`: a provider for tests."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from imagejobs.cli.console import command_app, print_json
from imagejobs.errors import ConfigurationError
from imagejobs.providers.fake_server import FakeProvider, Options, Terms

app = command_app()


@app.command()
def fake_provider(
    port: Annotated[int, typer.Option(help="The port; 0 takes any free one.", min=0, max=65535)] = 8900,
    bill: Annotated[
        Path | None, typer.Option(help="Append the bill to this file too, a line of JSON each.", dir_okay=False)
    ] = None,
    latency_seconds: Annotated[float, typer.Option(help="How long a picture takes.", min=0)] = 0.0,
    image_bytes: Annotated[
        int, typer.Option(help="How large the file of a picture is at least.", min=0, max=256 * 1024 * 1024)
    ] = 0,
    price_micros: Annotated[int, typer.Option(help="What a picture costs, in millionths of a dollar.", min=0)] = 40_000,
    fault_rate: Annotated[float, typer.Option(help="The share of requests that go wrong in some way.", min=0, max=1)] = 0.0,
    seed: Annotated[int, typer.Option(help="Decides which of them; the same seed, the same faults.")] = 0,
) -> None:
    """Run a provider of pictures for tests: real HTTP, a bill of its own, and every fault that a script asks for.

    It listens on this machine only, takes any key, keeps nothing but the bill, and costs nothing. Once it is ready it prints
    one line of JSON: `{url, pid}`.

    ```
    imagejobs fake-provider --port 8900
    IMAGEJOBS_FAKE_BASE_URL=http://127.0.0.1:8900 imagejobs up
    ```

    SIGTERM or Ctrl-C ends it.
    """
    terms = Terms(price_micros=price_micros, latency_seconds=latency_seconds, image_bytes=image_bytes)
    options = Options(port=port, bill=bill, terms=terms, fault_rate=fault_rate, seed=seed)
    uvloop.run(_serve(options))


async def _serve(options: Options) -> None:
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    fake = await _started(options)
    print_json({"url": fake.url, "pid": os.getpid()})
    await stop.wait()
    await fake.stop()


async def _started(options: Options) -> FakeProvider:
    try:
        fake = FakeProvider(options)
        await fake.start()
    except OSError as error:
        raise ConfigurationError([f"The fake provider cannot start: {error}. See --port and --bill."]) from error
    except ValueError as error:
        raise ConfigurationError([f"{options.bill} is no bill of a fake provider: {error}. Name another file."]) from error
    return fake
