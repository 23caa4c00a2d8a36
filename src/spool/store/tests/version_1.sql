-- What an mqhook whose schema was version 1 has left.
INSERT INTO webhooks (id, name, fresh, retrying, dead_letters, dead_letter_bytes, last_seq)
  VALUES (1, 'one', 1, 1, 1, 300, 3);
INSERT INTO events (seq, accepted, id, kind, time, topic, attributes, payload) VALUES
  (1, 1795216121685, '01ABCDEFGHIJKLMNOPQRST', 'on_client_connack', 1795216121680, NULL,
   '{"client_id":"c","detail":{"connection":{"protocol_version":5,"refused":"not_authorized"}}}', NULL),
  (2, 1795216121686, '01ABCDEFGHIJKLMNOPQRSU', 'on_message_publish', 1795216121681, 'a/b',
   '{"detail":{"message":{"qos":1,"retain":false}}}', x'68656c6c6f');
INSERT INTO deliveries (webhook, due, seq, failures, first_failed) VALUES
  (1, 0, 1, 0, NULL), (1, 1795216126686, 2, 1, 1795216121690);
INSERT INTO dead_letters (webhook, at, reason, outcome, failures, first_failed, bytes, accepted,
    event_id, kind, time, topic, attributes, payload) VALUES
  (1, 1795216121700, 'exhausted', 'answered 500', 12, 1795216121690, 300, 1795216121685,
   '01ABCDEFGHIJKLMNOPQRSV', 'on_message_publish', 1795216121681, 'a/b',
   '{"detail":{"message":{"qos":1,"retain":false}}}', x'');
