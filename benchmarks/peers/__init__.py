"""What others made, to be measured beside us; `python -m benchmarks.peers` installs it into .bench/."""
