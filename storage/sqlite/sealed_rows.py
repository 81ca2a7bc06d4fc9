"""Which exchanges are sealed, and how their words are indexed."""

from sqlite_utils import Database


def m006_sealed(db: Database) -> None:
    """A step of the schema (storage.sqlite.migrations); what was shipped is never edited."""
    db.execute(
        """
        create table sealed ( -- an exchange that is here has its content sealed (storage.sealing); the others not
            seq integer primary key references exchange (seq),
            search text not null -- how its words and tools are indexed: keyed | plain | off
        ) strict
        """
    )
