-- Version 5: what is configured over the admin API, and how often webhooks were attempted.

-- Webhooks and groups; `kind` says which. `definition` is JSON, secrets included; `version` grows with each
-- change. Names are unique by kind; a row keeps its id and its name. At `overlaps_until` all secrets that sign but
-- the first are dropped.
CREATE TABLE definitions (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  in_group TEXT,
  definition TEXT NOT NULL,
  version INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  last_modified_at INTEGER NOT NULL,
  overlaps_until INTEGER,
  UNIQUE (kind, name)
);

-- How many attempts there were, and when the last of them ended, about.
ALTER TABLE webhooks ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE webhooks ADD COLUMN last_triggered INTEGER;
