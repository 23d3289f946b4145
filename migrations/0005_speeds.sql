-- What the time of a new submission is estimated from: the experiments that succeeded last, of one environment. All that is
-- asked of them stands in the index: a row has some thousand bytes, and after an upgrade none of thousands may be alike.
DROP INDEX experiments_by_finish;
CREATE INDEX experiments_speeds ON experiments (environment, finished_at, operations, iterations, iteration,
    elapsed_seconds, state) WHERE state = 'succeeded';
