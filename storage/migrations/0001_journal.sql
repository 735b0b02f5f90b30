-- Which builds may use this schema: those whose newest step is this one or a later one. A step
-- that takes something away raises it.
CREATE TABLE apextrade_schema (
    only_row bool PRIMARY KEY DEFAULT true CHECK (only_row),
    oldest_reader int4 NOT NULL
);
INSERT INTO apextrade_schema (oldest_reader) VALUES (1);

-- The end of each account's journal. One row an account, rewritten at each commit, so it keeps
-- room for the next version of itself on its page.
CREATE TABLE journal_account (
    account_id text PRIMARY KEY,
    -- Goes up with each owner; a write with another one is refused.
    epoch int8 NOT NULL,
    -- Of the last durable record; 0 before the first.
    sequence int8 NOT NULL,
    chain bytea NOT NULL CHECK (octet_length(chain) = 32),
    -- Who opened it last, for people.
    owner text NOT NULL,
    opened_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

-- The batches, as the same frames that the embedded journal keeps in files.
CREATE TABLE journal_frame (
    account_id text NOT NULL,
    last_sequence int8 NOT NULL,
    first_sequence int8 NOT NULL,
    epoch int8 NOT NULL,
    written_at timestamptz NOT NULL DEFAULT now(),
    frame bytea NOT NULL,
    PRIMARY KEY (account_id, last_sequence)
);

-- Events are small and dense: compressing them costs more than it saves.
ALTER TABLE journal_frame ALTER COLUMN frame SET STORAGE EXTERNAL;

CREATE TABLE journal_snapshot (
    account_id text NOT NULL,
    sequence int8 NOT NULL,
    -- xxh3 of the state, as a signed number.
    check_sum int8 NOT NULL,
    state bytea NOT NULL,
    PRIMARY KEY (account_id, sequence)
);
