"""In stock mitmproxy: what is logged of traffic while the tool starts does not end it."""

import logging
from pathlib import Path

import pytest
from mitmproxy.addons.errorcheck import ErrorCheck
from mitmproxy.test import taddons

from addons.pipeline import pipeline_from
from addons.stock import StockRecorder
from settings.schema import Settings


@pytest.mark.parametrize(
    ("logger", "ends"),
    [("upstreams.rotation", False), ("storage.journal.disk", False), ("mitmproxy.addons.proxyserver", True)],
)
async def test_an_error_of_ours_is_no_failed_start(tmp_path: Path, logger: str, ends: bool) -> None:
    check = ErrorCheck()
    settings = Settings(data_dir=tmp_path)
    with taddons.context(check) as context:
        context.master.addons.add(StockRecorder(pipeline_from(settings), tmp_path / "config.yaml"))
        logging.getLogger(logger).error("said while the tool starts")
        check.finish()
    assert bool(check.logger.has_errored) is ends
