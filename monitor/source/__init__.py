"""The Linked API client: one HTTP answer in, a snapshot or the reason for none out."""
