"""A new master key: what the old one wraps is wrapped anew. What is sealed stays as it is."""

from collections.abc import Callable
from pathlib import Path

from storage.journal.files import journal_dir
from storage.journal.reading import boots
from storage.sealing import journal
from storage.sealing.keyring import check_master, reading_keys, writing_keys
from storage.sealing.master import MasterKeys


def to_wrap_again(data_dir: Path, masters: MasterKeys) -> int:
    """How many data keys another master key wraps than the current one.

    Raises:
        SealProblem: some are wrapped by one that is not given.
    """
    with reading_keys(data_dir) as keys:
        check_master(masters, keys)
        return sum(number for id_, number in keys.masters().items() if id_ != masters.current.id)


def rotate(data_dir: Path, masters: MasterKeys, done: Callable[[int], None]) -> tuple[int, int]:
    """Wrap everything by the current master key. The caller holds the recorder's lock. Interrupted, it is gone on with
    the next time: both keys open until then.

    Returns how many data keys and how many journals were wrapped anew. `done` is told how many keys so far.

    Raises:
        SealProblem: something is wrapped by a key that is not given; what was not wrapped anew is as it was.
    """
    number = 0
    keys = writing_keys(data_dir)
    try:
        check_master(masters, keys)
        for number in keys.wrap_again(masters):
            done(number)
    finally:
        keys.close()
    return number, sum(journal.wrap_again(boot, masters) for boot in boots(journal_dir(data_dir)))
