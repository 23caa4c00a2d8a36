-- Version 3: the registry of devices.

-- Clients that were accepted. `status`: 1 connected, 2 disconnected, 3 refused; `since` is since when. `watch` is the number of
-- the time of hearing without a gap in which that was confirmed last: what was connected in an earlier one is
-- not known to be.
CREATE TABLE devices (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  username TEXT,
  address TEXT,
  status INTEGER NOT NULL,
  reason TEXT,
  watch INTEGER NOT NULL,
  since INTEGER NOT NULL,
  first_seen INTEGER NOT NULL,
  last_seen INTEGER NOT NULL
);

-- Finds those that are not connected and were not seen for long.
CREATE INDEX devices_by_last_seen ON devices (last_seen) WHERE status <> 1;

-- Devices that the operator has removed and of which that is not told yet: when, and under which event id it will be.
CREATE TABLE removals (
  id TEXT PRIMARY KEY,
  event_id TEXT NOT NULL,
  at INTEGER NOT NULL
) WITHOUT ROWID;

-- `devices`, `device_bytes`: how many rows there are, and about what they take; `watch`: the latest.
INSERT INTO counters VALUES ('devices', 0), ('device_bytes', 0), ('watch', 0);
