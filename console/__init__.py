"""The reading room: pages for people who look at the record. Reads through a Store; every look is written first."""
