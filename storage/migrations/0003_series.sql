-- Time series: what both layouts share. The tables of rows are made when the store is first
-- opened, by series_plain.sql or series_timescale.sql, as the server has TimescaleDB or not.
CREATE TABLE series_layout (
    only_row bool PRIMARY KEY DEFAULT true CHECK (only_row),
    layout text NOT NULL CHECK (layout IN ('plain', 'timescale'))
);

CREATE TABLE series_instrument (
    instrument_no int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    instrument_id text COLLATE "C" NOT NULL UNIQUE,
    -- What mantissas mean; never changed.
    price_decimals int2 NOT NULL,
    quantity_decimals int2 NOT NULL
);

-- Trades, quotes, or bars of one spec, of one instrument. The last sequence is changed by every
-- batch, in the transaction that stores its rows: what is at or below it is a repeat.
CREATE TABLE series_stream (
    stream_no int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    instrument_no int4 NOT NULL REFERENCES series_instrument,
    name text COLLATE "C" NOT NULL,
    last_sequence int8 NOT NULL DEFAULT 0,
    UNIQUE (instrument_no, name)
) WITH (fillfactor = 50);

CREATE TABLE series_gap (
    stream_no int4 NOT NULL REFERENCES series_stream,
    first_sequence int8 NOT NULL,
    last_sequence int8 NOT NULL,
    PRIMARY KEY (stream_no, first_sequence)
);

-- Minutes that got trades since they were rolled up.
CREATE TABLE series_dirty (
    stream_no int4 NOT NULL,
    minute_ns int8 NOT NULL,
    PRIMARY KEY (stream_no, minute_ns)
);
