-- Where the rows of a journal begin once older batches were moved to the store of objects. Rows in
-- front of it are left over from a removal that was cut off. No row: they begin with the first.
CREATE TABLE journal_base (
    account_id text PRIMARY KEY,
    -- Of the last record that was moved, and its link of the chain.
    sequence int8 NOT NULL CHECK (sequence > 0),
    chain bytea NOT NULL CHECK (octet_length(chain) = 32),
    -- SHA-256 over account, sequence and chain, as in the file that the embedded journal has.
    check_sum bytea NOT NULL CHECK (octet_length(check_sum) = 32),
    -- The owner that moved it, and when, for people.
    epoch int8 NOT NULL,
    moved_at timestamptz NOT NULL DEFAULT now()
);
