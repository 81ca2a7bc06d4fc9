"""The command line: one file per command or group of commands; starts the other rooms."""
