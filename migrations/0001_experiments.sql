-- Experiments, their metric rows and their attempts. Shipped migrations are never edited: add 0002.
-- (auto_vacuum = INCREMENTAL, journal_mode = WAL and application_id are set by server/store/database.c before this
-- runs: SQLite takes them only outside a transaction, or only while the file is empty.)
-- Times are milliseconds since 1970 UTC; NULL or 0 where not yet.

-- The one counter that orders all changes: ETags and event ids come from it. One row.
CREATE TABLE counter (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    revision INTEGER NOT NULL
) STRICT;
INSERT INTO counter VALUES (1, 0);

CREATE TABLE experiments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    revision INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'paused', 'succeeded', 'failed',
                                         'diverged', 'cancelled')),
    cancel_requested INTEGER NOT NULL DEFAULT 0 CHECK (cancel_requested IN (0, 1)),
    trashed_at INTEGER, -- NULL: not in the trash
    name TEXT NOT NULL,
    tags TEXT NOT NULL, -- JSON object
    notes TEXT NOT NULL DEFAULT '',
    spec TEXT NOT NULL, -- canonical JSON
    data_hash TEXT NOT NULL,
    engine_version TEXT NOT NULL,
    environment TEXT, -- JSON object
    priority INTEGER NOT NULL DEFAULT 0,
    iteration INTEGER NOT NULL DEFAULT 0,
    iterations INTEGER NOT NULL,
    iterations_per_second REAL NOT NULL DEFAULT 0,
    -- The lease. `attempt` is its fencing token, checked by every write of a worker.
    attempt INTEGER NOT NULL DEFAULT 0,
    worker TEXT,
    lease_expires_at INTEGER NOT NULL DEFAULT 0,
    active_at INTEGER, -- the monotonic clock (ms) when elapsed_seconds was last added to; NULL: not training
    fruitless_attempts INTEGER NOT NULL DEFAULT 0, -- in a row, this one included, without a new checkpoint
    resumed_from_iteration INTEGER NOT NULL DEFAULT 0,
    checkpoint_iteration INTEGER NOT NULL DEFAULT 0,
    checkpoint_file TEXT,
    model_file TEXT,
    error TEXT,
    warning TEXT,
    latest_metrics TEXT NOT NULL DEFAULT '{}', -- JSON object: name → value
    best_metrics TEXT NOT NULL DEFAULT '{}',
    created_at INTEGER NOT NULL,
    started_at INTEGER NOT NULL DEFAULT 0,
    finished_at INTEGER NOT NULL DEFAULT 0,
    elapsed_seconds REAL NOT NULL DEFAULT 0
) STRICT;

CREATE UNIQUE INDEX experiments_by_revision ON experiments (revision);
CREATE INDEX experiments_by_state ON experiments (state, id) WHERE trashed_at IS NULL;
CREATE INDEX experiments_queue ON experiments (priority DESC, id) WHERE state = 'queued';
CREATE INDEX experiments_leases ON experiments (lease_expires_at) WHERE state = 'running';

-- value: REAL, or 'NaN', 'Infinity', '-Infinity' (a REAL in SQLite cannot hold a NaN).
CREATE TABLE metrics (
    experiment INTEGER NOT NULL REFERENCES experiments (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    iteration INTEGER NOT NULL,
    value ANY NOT NULL
        CHECK (typeof(value) = 'real' OR value IN ('NaN', 'Infinity', '-Infinity')),
    PRIMARY KEY (experiment, name, iteration)
) STRICT, WITHOUT ROWID;

-- One row for every lease that was ever given.
CREATE TABLE attempts (
    experiment INTEGER NOT NULL REFERENCES experiments (id) ON DELETE CASCADE,
    attempt INTEGER NOT NULL,
    worker TEXT NOT NULL,
    leased_at INTEGER NOT NULL,
    ended_at INTEGER,
    outcome TEXT CHECK (outcome IN ('succeeded', 'failed', 'diverged', 'cancelled', 'released', 'lost')),
    resumed_from_iteration INTEGER NOT NULL DEFAULT 0,
    environment TEXT,
    PRIMARY KEY (experiment, attempt)
) STRICT, WITHOUT ROWID;
