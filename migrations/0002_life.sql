-- What an experiment goes through beside training: pauses, copies, replays, a log, webhooks; and what makes a repeated
-- submission harmless.

ALTER TABLE experiments ADD COLUMN pause_requested INTEGER NOT NULL DEFAULT 0 CHECK (pause_requested IN (0, 1));
-- No foreign keys: what a copy was made of may be purged.
ALTER TABLE experiments ADD COLUMN cloned_from INTEGER;
ALTER TABLE experiments ADD COLUMN replay_of INTEGER;
ALTER TABLE experiments ADD COLUMN replay TEXT; -- JSON object: how this replay compares, once it has ended
-- SHA-256 (hex) of all that the submission's result follows from: the spec without name and tags, the data, the
-- engine. NULL: submitted before there was one.
ALTER TABLE experiments ADD COLUMN result_key TEXT;
-- The estimate at submission.
ALTER TABLE experiments ADD COLUMN memory_bytes INTEGER NOT NULL DEFAULT 0; -- 0: not known
ALTER TABLE experiments ADD COLUMN operations REAL NOT NULL DEFAULT 0; -- multiply-accumulates of all iterations; 0: not known
ALTER TABLE experiments ADD COLUMN estimated_seconds REAL; -- NULL: nobody could tell

CREATE INDEX experiments_by_result ON experiments (result_key) WHERE state = 'succeeded' AND trashed_at IS NULL;
CREATE INDEX experiments_by_finish ON experiments (finished_at) WHERE state = 'succeeded';
CREATE INDEX experiments_trash ON experiments (trashed_at) WHERE trashed_at IS NOT NULL;

-- Lines for people. Bounded for each experiment: the oldest go first, `number` goes on.
CREATE TABLE log (
    experiment INTEGER NOT NULL REFERENCES experiments (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    time INTEGER NOT NULL,
    level TEXT NOT NULL CHECK (level IN ('info', 'warning', 'error')),
    text TEXT NOT NULL,
    PRIMARY KEY (experiment, number)
) STRICT, WITHOUT ROWID;

-- Who wants to be told of an experiment's end.
CREATE TABLE webhooks (
    experiment INTEGER PRIMARY KEY REFERENCES experiments (id) ON DELETE CASCADE,
    url TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'failed')),
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt_at INTEGER NOT NULL DEFAULT 0,
    status INTEGER, -- of the last answer
    error TEXT, -- of the last attempt
    delivered_at INTEGER
) STRICT;
CREATE INDEX webhooks_due ON webhooks (next_attempt_at) WHERE state = 'waiting';

-- Answers to requests with an Idempotency-Key, committed together with what the request made.
CREATE TABLE idempotency (
    key TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL, -- SHA-256 (hex) of the request
    status INTEGER NOT NULL,
    location TEXT,
    etag TEXT,
    body TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_age ON idempotency (created_at);
