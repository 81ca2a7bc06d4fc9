"""A worker inside the test's own event loop, so that a test can break one of its parts."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from mitmproxy import master, options
from mitmproxy.addons import next_layer, proxyserver, tlsconfig

from addons.gate import AccessGate
from addons.pipeline import Pipeline, pipeline_from
from lanes.express import mode as _express  # noqa: F401 - registers the mode
from lanes.express.lane import Lane
from lanes.mitm import mode as _checkpoint  # noqa: F401 - registers the mode
from lanes.mitm.options import insist
from settings.reading import parse_settings

IDENTITY = "identity: {domains: [example.com], issuers: [{name: own, kind: own_token}]}\n"
SETTINGS = """
profile: {profile}
data_dir: {data}
providers:
  openai: {{upstream: '{upstream}'{provider}}}
{identity}policies:
  rules: [{{name: all, domains: [example.com], models: ['gpt-4o*'], operations: [chat, responses]}}]
"""


@contextlib.asynccontextmanager
async def worker(
    folder: Path,
    upstream: str,
    *,
    lane: str,
    profile: str = "gateway",
    broken: Callable[[Pipeline, AccessGate], None] | None = None,
    more: str = "",
    identity: str | None = None,
    provider: str = "",
) -> AsyncIterator[str]:
    """Yields the URL to call. `broken` may take parts of the pipeline and spoil them; `more` is added to the
    settings, `provider` to those of the provider."""
    settings = parse_settings(
        SETTINGS.format(
            profile=profile, data=folder / "data", upstream=upstream, identity=identity or IDENTITY, provider=provider
        )
        + more
    )
    pipeline = pipeline_from(settings)
    await pipeline.start()
    gate = pipeline.addons[0]
    assert isinstance(gate, AccessGate)
    if broken is not None:
        broken(pipeline, gate)
    this = master.Master(options.Options())
    server = proxyserver.Proxyserver()
    express = Lane(pipeline.door)
    this.addons.add(server, next_layer.NextLayer(), tlsconfig.TlsConfig(), express)
    insist(this.options, settings)
    this.addons.add(*pipeline.addons)
    kind = "express" if lane == "express" else "checkpoint"
    this.options.update(mode=[f"{kind}:{upstream}@127.0.0.1:0"])
    running = asyncio.ensure_future(this.run())
    while not list(server.servers) or not all(instance.is_running for instance in server.servers):
        await asyncio.sleep(0.01)
    (instance,) = list(server.servers)
    try:
        yield f"http://127.0.0.1:{instance.listen_addrs[0][1]}"
    finally:
        await express.drain(0.2)
        await server.servers.update([])
        this.should_exit.set()
        await running
        await pipeline.stop()
