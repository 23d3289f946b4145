-- Access tokens, browser sessions, and who submitted what. Secrets are not stored, only the SHA-256 (hex) of each:
-- they are 256 random bits, so that a plain hash cannot be turned back.
CREATE TABLE tokens (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    scope TEXT NOT NULL CHECK (scope IN ('read', 'submit', 'admin')),
    hash TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL DEFAULT 0, -- 0: never
    last_used_at INTEGER NOT NULL DEFAULT 0,
    revoked_at INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX tokens_by_name ON tokens (name) WHERE revoked_at = 0;

-- A browser that showed a token has a cookie instead of it; the session ends with its token.
CREATE TABLE sessions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    token INTEGER NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    hash TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_by_token ON sessions (token, id);

ALTER TABLE experiments ADD COLUMN submitted_by INTEGER NOT NULL DEFAULT 0; -- a token's id; 0: without one

-- How many queued experiments each token has, kept by triggers: the limit on them is asked at every submission.
CREATE TABLE queued_by (
    token INTEGER PRIMARY KEY,
    count INTEGER NOT NULL
) STRICT;
INSERT INTO queued_by SELECT submitted_by, count(*) FROM experiments WHERE state = 'queued' GROUP BY submitted_by;
CREATE TRIGGER queued_by_insert AFTER INSERT ON experiments WHEN NEW.state = 'queued' BEGIN
    INSERT INTO queued_by VALUES (NEW.submitted_by, 1) ON CONFLICT (token) DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER queued_by_enter AFTER UPDATE OF state ON experiments
WHEN NEW.state = 'queued' AND OLD.state <> 'queued' BEGIN
    INSERT INTO queued_by VALUES (NEW.submitted_by, 1) ON CONFLICT (token) DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER queued_by_leave AFTER UPDATE OF state ON experiments
WHEN OLD.state = 'queued' AND NEW.state <> 'queued' BEGIN
    UPDATE queued_by SET count = count - 1 WHERE token = NEW.submitted_by;
END;
CREATE TRIGGER queued_by_delete AFTER DELETE ON experiments WHEN OLD.state = 'queued' BEGIN
    UPDATE queued_by SET count = count - 1 WHERE token = OLD.submitted_by;
END;
