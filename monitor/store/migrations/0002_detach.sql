-- A workspace that left the configuration: since when, so that what belongs to it ends a day later.

ALTER TABLE workspace ADD COLUMN detached_at BIGINT;
