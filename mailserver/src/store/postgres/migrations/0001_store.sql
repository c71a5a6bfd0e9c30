-- The store of the mail server, for any number of its nodes.

CREATE TABLE nodes (
    id bigint PRIMARY KEY,
    -- Until then it is believed to be alive; it says so again and again.
    alive_until timestamptz NOT NULL
);

CREATE TABLE accounts (
    address text PRIMARY KEY,
    account jsonb NOT NULL
);

CREATE TABLE bodies (
    id bigserial PRIMARY KEY,
    body bytea NOT NULL
);
-- What is sealed cannot be compressed.
ALTER TABLE bodies ALTER COLUMN body SET STORAGE EXTERNAL;

-- Times are milliseconds since 1970 UTC.
CREATE TABLE mails (
    id bigserial PRIMARY KEY,
    account text NOT NULL,
    body bigint NOT NULL,
    size bigint NOT NULL,
    sealed boolean NOT NULL,
    received bigint NOT NULL,
    reverse_path text
);
CREATE INDEX mails_account ON mails (account, id);
CREATE INDEX mails_body ON mails (body);

CREATE TABLE queue (
    id bigserial PRIMARY KEY,
    body bigint NOT NULL,
    next bigint NOT NULL,
    -- Everything but the two numbers.
    item jsonb NOT NULL,
    -- The node that is trying it.
    owner bigint
);
CREATE INDEX queue_next ON queue (next);
CREATE INDEX queue_body ON queue (body);

CREATE TABLE notices (
    account text PRIMARY KEY,
    last_sent bigint,
    attempts bigint NOT NULL,
    next bigint NOT NULL,
    expires bigint NOT NULL,
    owner bigint
);
CREATE INDEX notices_next ON notices (next);

-- Mailboxes that a session has open.
CREATE TABLE locks (
    account text PRIMARY KEY,
    owner bigint NOT NULL
);

-- Part of every unique-id.
CREATE TABLE token (token bigint NOT NULL);
INSERT INTO token VALUES ((random() * 9223372036854775807)::bigint);
