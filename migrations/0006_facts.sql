-- What lists are filtered and sorted by. All of it is derived from the experiment's row (server/store/facts.c); experiments
-- that have no facts get theirs when the store is opened.

-- Each name once: "params.optimizer.learning_rate", "tags.paper", "metrics.test_accuracy", "metrics.best.test_accuracy".
CREATE TABLE fact_names (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- By experiment, so that a submission writes to one place; the metrics also by their value.
CREATE TABLE facts (
    experiment INTEGER NOT NULL REFERENCES experiments (id) ON DELETE CASCADE,
    name INTEGER NOT NULL, -- fact_names.id
    value ANY, -- a number (booleans are 1 and 0) or a text; NULL: NaN
    ranked INTEGER NOT NULL CHECK (ranked IN (0, 1)), -- a metric
    PRIMARY KEY (experiment, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX facts_by_value ON facts (name, value, experiment) WHERE ranked = 1;

-- A row of experiments is some thousand bytes: this is all that a list is filtered and sorted by.
CREATE INDEX experiments_listed ON experiments (id, state, name, priority, attempt, sweep, created_at, started_at,
    finished_at, elapsed_seconds, trashed_at) WHERE trashed_at IS NULL;
