"""Real clients, unmodified, through a real Sekisho. `npm ci` in this folder installs those of npm."""
