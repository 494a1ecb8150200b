-- A session's row and all that is its own: journals and entries go with it. `mark` is that of the write that made
-- what stands there, by which a write that is sent again is known.
BEGIN;

CREATE TABLE IF NOT EXISTS sessions (
    id TEXT PRIMARY KEY,
    attributes TEXT NOT NULL,
    created_at REAL NOT NULL,
    accessed_at REAL NOT NULL,
    max_inactive_interval REAL NOT NULL,
    version INTEGER NOT NULL,
    mark TEXT NOT NULL,
    expires_at REAL NOT NULL
) WITHOUT ROWID, STRICT;

CREATE INDEX IF NOT EXISTS sessions_by_end ON sessions (expires_at);

-- `total` counts the entries that were ever appended, the oldest of which may have been dropped.
CREATE TABLE IF NOT EXISTS journals (
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    total INTEGER NOT NULL,
    PRIMARY KEY (session_id, name)
) WITHOUT ROWID, STRICT;

CREATE TABLE IF NOT EXISTS entries (
    session_id TEXT NOT NULL,
    journal TEXT NOT NULL,
    position INTEGER NOT NULL,
    entry TEXT NOT NULL,
    mark TEXT NOT NULL,
    PRIMARY KEY (session_id, journal, position),
    FOREIGN KEY (session_id, journal) REFERENCES journals (session_id, name) ON DELETE CASCADE
) WITHOUT ROWID, STRICT;

-- Leases live by themselves: one may be taken where there is no session yet.
CREATE TABLE IF NOT EXISTS leases (
    session_id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    expires_at REAL NOT NULL
) WITHOUT ROWID, STRICT;

CREATE TABLE IF NOT EXISTS probe (id INTEGER PRIMARY KEY CHECK (id = 1), checked_at REAL NOT NULL) STRICT;

COMMIT;
