-- The history, for any number of its nodes. It lies in a schema of its own.

-- The one row that whoever appends has to hold: the log has one end.
CREATE TABLE head (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    size bigint NOT NULL,
    -- When the last record was registered, in nanoseconds since 1970 UTC: times in the log never go back.
    latest bigint NOT NULL,
    -- The signed checkpoint.
    note text NOT NULL
);

CREATE TABLE records (
    index bigint PRIMARY KEY,
    -- Both as they are hashed: text that no database may write otherwise.
    leaf text NOT NULL,
    personal text,
    transmission bigint NOT NULL,
    event smallint NOT NULL,
    registered bigint NOT NULL
);
CREATE INDEX records_transmission ON records (transmission, index);
CREATE INDEX records_registered ON records (registered, index);

-- Every node over a full subtree, by its stored hash index.
CREATE TABLE hashes (
    position bigint PRIMARY KEY,
    hash bytea NOT NULL
);

-- What can be searched; a row goes when its transmission is erased. Domains are in lower case.
CREATE TABLE transmissions (
    number bigint PRIMARY KEY,
    message_id text NOT NULL,
    recipient text NOT NULL,
    sender text NOT NULL,
    recipient_office text NOT NULL,
    sender_office text NOT NULL,
    state smallint NOT NULL,
    UNIQUE (message_id, recipient)
);
CREATE INDEX transmissions_recipient ON transmissions (recipient, number);
CREATE INDEX transmissions_sender ON transmissions (sender, number);
CREATE INDEX transmissions_recipient_office ON transmissions (recipient_office, number);
CREATE INDEX transmissions_sender_office ON transmissions (sender_office, number);
-- Few are not delivered.
CREATE INDEX transmissions_state ON transmissions (state, number) WHERE state <> 4;
