"""How this room says that something cannot be done."""


class StoreProblem(Exception):  # noqa: N818 - said to a person, with the remedy
    """The store cannot be used as asked; the message says what to do."""
