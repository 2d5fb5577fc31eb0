"""What the monitor costs, measured: `make bench` prints one table, README.md says how to read it."""
