"""How something small is asked of a web server that may be hostile, slow or broken."""
