-- Version 1 of the delivery log's schema. Times are milliseconds since the Unix epoch.

CREATE TABLE webhooks (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE
);

-- Attempts that ended. An id is not below the time shifted left by 20 bits.
CREATE TABLE attempts (
  id INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  webhook INTEGER NOT NULL,
  event_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  topic TEXT,
  number INTEGER NOT NULL,
  ending TEXT NOT NULL,
  status INTEGER,
  class TEXT,
  detail TEXT NOT NULL,
  latency_us INTEGER NOT NULL,
  response TEXT NOT NULL,
  left_out INTEGER NOT NULL
);

CREATE INDEX attempts_of_event ON attempts (event_id);
CREATE INDEX attempts_of_webhook ON attempts (webhook);

-- Events that were delivered, whole, if that is wanted; `attempt` is the first that delivered one.
CREATE TABLE events (
  attempt INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  time INTEGER NOT NULL,
  topic TEXT,
  attributes TEXT NOT NULL,
  payload BLOB
);
