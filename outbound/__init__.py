"""How connections of our own leave, and how something small is asked of a web server that may be hostile or slow."""
