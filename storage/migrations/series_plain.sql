-- Rows on plain PostgreSQL: one partition a day of each table, made ahead. The wide columns come
-- first, so that no byte is lost to alignment.
CREATE TABLE series_trade (
    sequence int8 NOT NULL,
    price int8 NOT NULL,
    quantity int8 NOT NULL,
    trade_id int8 NOT NULL,
    ts_event_ns int8 NOT NULL,
    ts_init_ns int8 NOT NULL,
    stream_no int4 NOT NULL,
    -- 1 a buy, -1 a sell, 0 not told.
    aggressor int2 NOT NULL
) PARTITION BY RANGE (ts_event_ns);

CREATE TABLE series_quote (
    sequence int8 NOT NULL,
    bid_price int8,
    bid_quantity int8,
    ask_price int8,
    ask_quantity int8,
    ts_event_ns int8 NOT NULL,
    ts_init_ns int8 NOT NULL,
    stream_no int4 NOT NULL
) PARTITION BY RANGE (ts_event_ns);

CREATE TABLE series_bar (
    sequence int8 NOT NULL,
    open int8 NOT NULL,
    high int8 NOT NULL,
    low int8 NOT NULL,
    close int8 NOT NULL,
    trade_count int8 NOT NULL,
    ts_open_ns int8 NOT NULL,
    ts_init_ns int8 NOT NULL,
    stream_no int4 NOT NULL,
    volume numeric NOT NULL
) PARTITION BY RANGE (ts_open_ns);

-- The partitions that there are.
CREATE TABLE series_day (
    table_name text NOT NULL,
    -- Since 1970.
    day int4 NOT NULL,
    -- It has its index for reading.
    is_closed bool NOT NULL DEFAULT false,
    PRIMARY KEY (table_name, day)
);

CREATE TABLE series_rolled (
    open int8 NOT NULL,
    high int8 NOT NULL,
    low int8 NOT NULL,
    close int8 NOT NULL,
    trade_count int8 NOT NULL,
    ts_open_ns int8 NOT NULL,
    ts_init_ns int8 NOT NULL,
    interval_ns int8 NOT NULL,
    stream_no int4 NOT NULL,
    volume numeric NOT NULL,
    PRIMARY KEY (stream_no, interval_ns, ts_open_ns)
) WITH (fillfactor = 80);
