-- With `ranked` in it, the index alone answers what is asked of it: else SQLite looks into the table at each row, for a column
-- that the index's own condition has told.
DROP INDEX facts_by_value;
CREATE INDEX facts_by_value ON facts (name, value, experiment, ranked) WHERE ranked = 1;
