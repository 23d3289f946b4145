-- Seconds of a processor that training took, over all attempts: what elapsed_seconds would be on a machine that does nothing else.
ALTER TABLE experiments ADD COLUMN cpu_seconds REAL NOT NULL DEFAULT 0;
