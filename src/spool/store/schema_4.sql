-- Version 4: tokens of the admin API.

-- `hash` is the SHA-256 of the token; the token itself is nowhere. `group_name` or `webhook`: what it is limited to.
-- `last_used_at` is kept in coarse steps.
CREATE TABLE tokens (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  hash BLOB NOT NULL UNIQUE,
  role TEXT NOT NULL,
  group_name TEXT,
  webhook TEXT,
  created_at INTEGER NOT NULL,
  last_used_at INTEGER
);
