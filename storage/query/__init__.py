"""The language in which people look for exchanges: text → terms. Pure; every store makes its own question of them."""
