"""`sekisho demo --data`: a record that the recorder itself made of a month that nobody lived."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from cli.demo_month import month
from storage.sqlite.reading import AuditReader
from tests.cli.conftest import Desk

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_the_month_is_the_same_every_time_and_ends_now() -> None:
    first, again = list(month(NOW)), list(month(NOW))
    assert [(each.intent, each.request, each.reply) for each in first] == [
        (each.intent, each.request, each.reply) for each in again
    ]
    begun = [datetime.fromtimestamp(each.intent.started_at / 1e6, tz=UTC) for each in first]
    assert begun == sorted(begun)
    assert begun[0] < NOW - timedelta(days=28)
    assert NOW - timedelta(days=4) < begun[-1] < NOW


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    desk = Desk(tmp_path_factory.mktemp("month"))
    done = desk.sekisho("demo", "--data", str(desk.folder))
    assert done.exit_code == 0, done.output
    return desk


def test_its_record_has_people_models_both_languages_refusals_and_every_kind_of_end(filled: Desk) -> None:
    reader = AuditReader(filled.data_dir)
    try:
        found = [json.loads(line) for _, line in reader.export()]
    finally:
        reader.close()
    assert len({each["principal"]["email"] for each in found if each["principal"]}) >= 6
    assert {each["request_model"] for each in found} > {"gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5"}
    ends = Counter(each["end_state"] for each in found)
    assert {"complete", "client_gone", "upstream_cut", "upstream_error", "refused"} <= ends.keys()
    assert ends["complete"] > len(found) * 0.7
    said = json.dumps([each["request"] for each in found], ensure_ascii=False)
    assert "売上報告書" in said
    assert "Kubernetes" in said
    whole = [each for each in found if each["end_state"] == "complete"]
    assert all(each["usage"]["source"] == "provider" and each["cost_usd"] for each in whole)
    assert len({each["thread_id"] for each in found}) < len(found) * 0.8  # conversations were recognised


def test_its_chain_holds_and_it_is_never_mixed_with_another_record(filled: Desk) -> None:
    assert "The chain holds" in filled.sekisho("verify").output
    again = filled.sekisho("demo", "--data", str(filled.folder))
    assert again.exit_code == 1
    assert "already" in again.output
