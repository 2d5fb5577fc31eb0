"""Every SQL statement of the monitor, each above its function; a table has one file."""
