-- Version 1 of the spool's schema. It never changes: what is new comes with a further version.
-- Times are milliseconds since the Unix epoch.

-- Webhooks by name. Rows are never deleted, so that an id stays what it is. The counts are of
-- the other tables' rows.
CREATE TABLE webhooks (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  status TEXT NOT NULL DEFAULT 'enabled',
  since INTEGER,
  reason TEXT NOT NULL DEFAULT '',
  consecutive_failures INTEGER NOT NULL DEFAULT 0,
  failing_since INTEGER,
  fresh INTEGER NOT NULL DEFAULT 0,
  retrying INTEGER NOT NULL DEFAULT 0,
  dead_letters INTEGER NOT NULL DEFAULT 0,
  dead_letter_bytes INTEGER NOT NULL DEFAULT 0,
  last_seq INTEGER
);

-- Events that wait, each once, however many webhooks it goes to. `attributes` is JSON.
CREATE TABLE events (
  seq INTEGER PRIMARY KEY,
  accepted INTEGER NOT NULL,
  id TEXT NOT NULL,
  kind TEXT NOT NULL,
  time INTEGER NOT NULL,
  topic TEXT,
  attributes TEXT NOT NULL,
  payload BLOB
);

-- Deliveries that wait: `due` is 0 for one that has not been attempted in vain yet, otherwise the time of its
-- next attempt.
CREATE TABLE deliveries (
  webhook INTEGER NOT NULL,
  due INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  failures INTEGER NOT NULL DEFAULT 0,
  first_failed INTEGER,
  PRIMARY KEY (webhook, due, seq)
) WITHOUT ROWID;

-- Finds the oldest among those, and those of an event.
CREATE INDEX retries ON deliveries (webhook, seq) WHERE due > 0;

-- How many deliveries of an event are left, for events that had several.
CREATE TABLE shares (
  seq INTEGER PRIMARY KEY,
  open INTEGER NOT NULL
);

-- Deliveries that were given up at the time `at`, with all that was known of them. `bytes` is what counts against the bound.
CREATE TABLE dead_letters (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  webhook INTEGER NOT NULL,
  at INTEGER NOT NULL,
  reason TEXT NOT NULL,
  outcome TEXT NOT NULL,
  failures INTEGER NOT NULL,
  first_failed INTEGER,
  bytes INTEGER NOT NULL,
  accepted INTEGER NOT NULL,
  event_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  time INTEGER NOT NULL,
  topic TEXT,
  attributes TEXT NOT NULL,
  payload BLOB
);

CREATE INDEX dead_letters_of_webhook ON dead_letters (webhook);

-- `replayed`: how many dead letters were ever replayed; their new sequence numbers come from it.
CREATE TABLE counters (
  name TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) WITHOUT ROWID;

INSERT INTO counters VALUES ('replayed', 0);
