"""The Linked API client: one HTTP response in, a snapshot or the reason for none out."""
