-- Version 2: deliveries that are parked behind others of their key have a negative `due`, which is the key.

-- Finds the oldest among those, and those of an event.
CREATE INDEX parked ON deliveries (webhook, seq) WHERE due < 0;
