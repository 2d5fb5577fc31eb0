"""What the monitor costs, measured: `make bench` prints one table; see README.md."""
