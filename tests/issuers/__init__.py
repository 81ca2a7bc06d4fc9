"""Issuers of npm, each a process of its own. `npm ci` in this folder installs them."""
