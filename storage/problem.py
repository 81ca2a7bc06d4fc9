"""How this room says that something cannot be done."""


class StoreProblem(Exception):  # noqa: N818 - said to a person, with the remedy
    """The store cannot be used as asked; the message says what to do."""


class AlteredRow(ValueError):  # noqa: N818 - says what was found
    """A row of the record that this code never wrote so; the message names it."""


class NoSuchId(StoreProblem):
    """What was given is no id, or not enough of one."""
