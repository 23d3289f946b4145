-- Sweeps: a base spec, axes over it, and seeds, which together are many experiments made in one transaction.

CREATE TABLE sweeps (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    revision INTEGER NOT NULL,
    name TEXT NOT NULL,
    tags TEXT NOT NULL, -- JSON object
    spec TEXT NOT NULL, -- as posted, defaults filled in
    strategy TEXT NOT NULL CHECK (strategy IN ('grid', 'random', 'asha')),
    -- Whether rungs are to be decided or seeds to be added still: what the keeper looks after.
    active INTEGER NOT NULL DEFAULT 0 CHECK (active IN (0, 1)),
    paused INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1)),
    note TEXT, -- how the adaptive part ended, for people
    created_at INTEGER NOT NULL,
    cancelled_at INTEGER, -- NULL: not cancelled
    trashed_at INTEGER -- NULL: not in the trash
) STRICT;
CREATE INDEX sweeps_active ON sweeps (id) WHERE active = 1 AND trashed_at IS NULL;

-- One point of the axes. Everything that an experiment of it needs, so that seeds can be added later.
CREATE TABLE sweep_arms (
    sweep INTEGER NOT NULL REFERENCES sweeps (id) ON DELETE CASCADE,
    arm INTEGER NOT NULL, -- 0, 1, …
    label TEXT NOT NULL,
    levels TEXT NOT NULL, -- JSON object: axis → label
    spec TEXT NOT NULL, -- canonical JSON, with the first seed
    data_hash TEXT NOT NULL,
    engine_version TEXT NOT NULL,
    iterations INTEGER NOT NULL,
    iteration_operations REAL NOT NULL, -- multiply-accumulates of one iteration
    memory_bytes INTEGER NOT NULL,
    PRIMARY KEY (sweep, arm)
) STRICT, WITHOUT ROWID;

-- Successive halving: each arm that has reached a rung, in the order of their coming. What is promoted follows from
-- these rows alone.
CREATE TABLE sweep_rungs (
    sweep INTEGER NOT NULL REFERENCES sweeps (id) ON DELETE CASCADE,
    rung INTEGER NOT NULL,
    sequence INTEGER NOT NULL, -- 0, 1, … in this rung
    arm INTEGER NOT NULL,
    value REAL, -- mean of the metric over the seeds; NULL: one of them has no such value (diverged, failed)
    promoted INTEGER NOT NULL DEFAULT 0 CHECK (promoted IN (0, 1)),
    PRIMARY KEY (sweep, rung, sequence),
    UNIQUE (sweep, rung, arm)
) STRICT, WITHOUT ROWID;

ALTER TABLE experiments ADD COLUMN sweep INTEGER REFERENCES sweeps (id); -- NULL: of no sweep
ALTER TABLE experiments ADD COLUMN arm INTEGER;
ALTER TABLE experiments ADD COLUMN seed INTEGER; -- the spec's
-- A worker pauses it as soon as it has gone beyond this iteration (a rung); 0: it goes to its end.
ALTER TABLE experiments ADD COLUMN stop_after_iteration INTEGER NOT NULL DEFAULT 0;
CREATE INDEX experiments_by_sweep ON experiments (sweep, arm, seed) WHERE sweep IS NOT NULL;
CREATE INDEX experiments_sweep_states ON experiments (sweep, state) WHERE sweep IS NOT NULL AND trashed_at IS NULL;
