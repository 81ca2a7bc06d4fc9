"""`sekisho seal`: the keys that content is sealed with."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cli.failure import Failed, WrongUse
from cli.options import Config, settings_at
from cli.progress import progress

if TYPE_CHECKING:
    from settings.sealing import Seal
    from storage.sealing.state import SealState

app = typer.Typer(no_args_is_help=True, help="Content sealed at rest: its keys.")


@app.command("new-key")
def new_key() -> None:
    """Print a new master key, for storage.seal.key. It is kept nowhere: keep a copy, away from the record.

    Without the key nothing that is sealed can ever be read again.
    """
    from storage.sealing.keyring import new_key as made
    from storage.sealing.master import written

    typer.echo(written(made()))


@app.command()
def status(
    config: Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say how much is sealed, how much was recorded unsealed, and which master key wraps the data keys.

    Reads the key, if the settings name one, to say whether it is the right one; exits 1 when it is not.
    """
    import msgspec

    from cli.terminal import out, visible, write_json
    from storage.sealing.master import SealProblem, master_keys
    from storage.sealing.state import seal_state

    settings = settings_at(config)
    seal = settings.storage.seal
    found = seal_state(settings.data_dir)
    current: str | None = None
    problem: str | None = None
    known: set[str] = set()
    try:
        if seal is not None:
            masters = master_keys(seal)
            current, known = masters.current.id, set(masters.ids)
    except SealProblem as cannot:
        problem = str(cannot)
    missing = sorted(id_ for id_ in {*found.masters, *found.journals} if id_ and id_ not in known)
    if problem is None and missing:
        problem = f"The settings give no master key {', '.join(missing)}: what it wraps cannot be opened. Set it again."
    if as_json:
        write_json(msgspec.json.encode({**asdict(found), "key": current, "problem": problem}))
    else:
        console = out()
        for line in _page(found, seal, current):
            console.print(visible(line))
    if problem is not None:
        raise Failed(problem)


@app.command()
def rotate(config: Config = None) -> None:
    """Wrap all data keys by storage.seal.key, where one of storage.seal.old_keys wraps them now.

    Bodies are not touched. Stop Sekisho first; it takes seconds. Afterwards the old key is needed for nothing here:
    take it out of old_keys, and destroy it once no backup of seal.db needs it.
    """
    from storage.sealing.keyring import is_sealed_dir
    from storage.sealing.master import master_keys
    from storage.sealing.rotation import rotate as wrap_all
    from storage.sealing.rotation import to_wrap_again
    from storage.sqlite.lock import in_place_of_the_recorder

    settings = settings_at(config)
    seal = settings.storage.seal
    if seal is None:
        raise WrongUse("storage.seal is not set: there is no key to rotate to.")
    if not is_sealed_dir(settings.data_dir):
        raise Failed(f"Nothing is sealed in {settings.data_dir} yet.")
    masters = master_keys(seal)
    with in_place_of_the_recorder(settings.data_dir):
        total = to_wrap_again(settings.data_dir, masters)
        with progress("rotate", total) as upto:
            keys, journals = wrap_all(settings.data_dir, masters, upto)
    typer.echo(
        f"{keys} data keys and {journals} journals are now wrapped by {masters.current.id}. "
        "No older master key is needed here any more."
    )


def _page(found: "SealState", seal: "Seal | None", current: str | None) -> list[str]:
    if seal is None:
        lines = ["storage.seal is not set: what is recorded now is not sealed."]
    else:
        key = f" by master key {current}" if current else ""
        lines = [f"What is recorded now is sealed{key}; its index is {seal.index}."]
    exchanges = dict(found.exchanges)
    unsealed = exchanges.pop("unsealed", 0)
    by_index = ", ".join(f"{number} with an index that is {index}" for index, number in sorted(exchanges.items()))
    lines.append(f"  exchanges {sum(exchanges.values())} sealed{f' ({by_index})' if by_index else ''}, {unsealed} not")
    people = f"{found.people} {'person' if found.people == 1 else 'people'}"
    lines.append(f"  data keys {sum(found.masters.values())}: {found.content_keys} for content of {people}")
    lines += [
        f"            {number} wrapped by {id_}{'' if id_ == current else ': not the current one'}"
        for id_, number in sorted(found.masters.items())
    ]
    for id_, number in sorted(found.journals.items()):
        how = f"wrapped by {id_}" if id_ else "not sealed"
        lines.append(f"  journals  {number} {how}")
    return lines
