"""Whether the authority is fit for the settings is known before anything is started."""

from datetime import timedelta
from pathlib import Path

import pytest

from certificates.authority import make_authority
from certificates.folder import AuthorityFolder
from certificates.readiness import authority_problems, authority_warnings, kept_authority
from settings.listening import Listener
from settings.schema import Settings
from tests.certificates.authorities import NOW, limited_to

ALL = ("api.openai.com", "api.anthropic.com", "generativelanguage.googleapis.com")


def forward(data_dir: Path, profile: str = "local") -> Settings:
    """Settings whose one listener opens connections that are meant for others."""
    settings = Settings.model_validate({"data_dir": data_dir})
    listener = Listener.model_construct(address=settings.listen[0].address, mode="forward")
    return settings.model_copy(update={"listen": (listener,), "profile": profile})


def test_reverse_mode_asks_for_no_authority(tmp_path: Path) -> None:
    settings = Settings.model_validate({"data_dir": tmp_path})
    assert authority_problems(settings, NOW) == authority_warnings(settings, NOW) == []


def test_a_laptop_makes_its_authority_at_the_start_for_the_providers_hosts(tmp_path: Path) -> None:
    settings = forward(tmp_path)
    assert authority_problems(settings, NOW) == []
    made = kept_authority(settings, NOW)
    assert authority_problems(settings, NOW) == []
    assert kept_authority(settings, NOW).certificate == made.certificate


def test_a_gateway_without_one_does_not_make_it_in_silence(tmp_path: Path) -> None:
    (said,) = authority_problems(forward(tmp_path, "gateway"), NOW)
    assert said.startswith(f"there is no CA in {tmp_path / 'mitmproxy'}")
    assert said.endswith("Make one: sekisho ca init")


@pytest.mark.parametrize(
    ("hosts", "days", "said"),
    [
        (ALL, 730.0, None),
        (ALL[:2], 730.0, "may not sign for generativelanguage.googleapis.com. Make a new one (sekisho ca rotate)"),
        (ALL, -0.1, "expired on"),
    ],
)
def test_one_that_cannot_do_what_is_asked_is_a_problem(
    tmp_path: Path, hosts: tuple[str, ...], days: float, said: str | None
) -> None:
    AuthorityFolder(tmp_path).keep_first(limited_to(*hosts, days=days))
    problems = authority_problems(forward(tmp_path), NOW)
    assert (len(problems), said or "") == (0, "") if said is None else said in problems[0]


def test_a_damaged_one_is_a_problem_and_is_not_replaced(tmp_path: Path) -> None:
    folder = AuthorityFolder(tmp_path)
    folder.path.mkdir()
    folder.signing.write_text("???", encoding="utf-8")
    (said,) = authority_problems(forward(tmp_path), NOW)
    assert "cannot be read" in said
    assert folder.signing.read_text(encoding="utf-8") == "???"


@pytest.mark.parametrize(("days", "warned"), [(31.0, False), (30.0, True), (2.0, True)])
def test_from_thirty_days_before_its_end_on_it_is_spoken_of(tmp_path: Path, days: float, warned: bool) -> None:
    AuthorityFolder(tmp_path).keep_first(limited_to(*ALL, days=days))
    said = authority_warnings(forward(tmp_path), NOW)
    assert [f"expires in {days:.0f} days" in each for each in said] == ([True] if warned else [])


def test_the_next_one_signs_from_its_day_on(tmp_path: Path) -> None:
    folder = AuthorityFolder(tmp_path)
    old, new = limited_to(*ALL), make_authority(ALL, node="test", now=NOW)
    folder.keep_first(old)
    folder.keep_next(new, NOW + timedelta(days=10))
    settings = forward(tmp_path)
    assert kept_authority(settings, NOW + timedelta(days=9)).certificate == old.certificate
    assert kept_authority(settings, NOW + timedelta(days=11)).certificate == new.certificate
    assert folder.roots() == [new.root, old.root]
