"""Every SQL statement of the monitor: state, history, incidents and the outbox."""
