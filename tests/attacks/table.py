"""The whole table."""

from tests.attacks import availability_rows, body_rows, destination_rows, framing_rows, identity_rows
from tests.attacks.rows import Row

ROWS: tuple[Row, ...] = (
    *identity_rows.ROWS,
    *destination_rows.ROWS,
    *framing_rows.ROWS,
    *body_rows.ROWS,
    *availability_rows.ROWS,
)
