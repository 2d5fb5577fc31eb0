"""The HTTP endpoint: metrics and health."""
