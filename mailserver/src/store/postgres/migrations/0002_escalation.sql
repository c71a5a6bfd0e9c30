-- Notices that stay unanswered escalate: when next, and up to which mail somebody has answered by fetching it.
ALTER TABLE notices ADD COLUMN escalates bigint;
ALTER TABLE notices ADD COLUMN answered bigint;
