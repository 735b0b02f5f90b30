-- Small keyed values. Keys are bytes, since a key may be any text and PostgreSQL's has no NUL;
-- their order is that of the text's bytes, whatever the database's collation.
CREATE TABLE record (
    table_name text COLLATE "C" NOT NULL,
    key bytea NOT NULL,
    value bytea NOT NULL,
    PRIMARY KEY (table_name, key)
);
