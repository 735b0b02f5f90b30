-- Which database this is. A reserve in a data folder says of which one it is, so that it is never
-- merged into another that has accounts of the same names.
CREATE TABLE journal_database (
    only_row bool PRIMARY KEY DEFAULT true CHECK (only_row),
    database_id uuid NOT NULL DEFAULT gen_random_uuid(),
    -- Goes up with each process that takes the database: one before does not take its lock again.
    claims int8 NOT NULL DEFAULT 0
);
INSERT INTO journal_database DEFAULT VALUES;

-- Data folders that may hold a reserve of an account: records that were acknowledged while this
-- server was away. A row comes with each owner and goes with its orderly end.
CREATE TABLE journal_reserve (
    account_id text NOT NULL,
    folder_id text NOT NULL,
    -- Host and path, for people.
    folder text NOT NULL,
    -- Of the owner, and since when it is that.
    epoch int8 NOT NULL,
    opened_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, folder_id)
);
