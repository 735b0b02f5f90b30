-- Rows on TimescaleDB (2.13 or newer): hypertables of one chunk a day, compressed after two days;
-- chunks are dropped by the store's own retention. Roll-ups are continuous aggregates, which
-- follow late rows by the extension's own log.
CREATE FUNCTION series_now_ns() RETURNS int8 LANGUAGE sql STABLE AS
    $$ SELECT (extract(epoch FROM now()) * 1000000000)::int8 $$;

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
);
SELECT create_hypertable('series_trade', by_range('ts_event_ns', 86400000000000));
SELECT set_integer_now_func('series_trade', 'series_now_ns');
CREATE INDEX ON series_trade (stream_no, ts_event_ns, sequence);
ALTER TABLE series_trade SET (
    timescaledb.compress,
    timescaledb.compress_segmentby = 'stream_no',
    timescaledb.compress_orderby = 'ts_event_ns, sequence'
);
SELECT add_compression_policy('series_trade', compress_after => 172800000000000::int8);

CREATE TABLE series_quote (
    sequence int8 NOT NULL,
    bid_price int8,
    bid_quantity int8,
    ask_price int8,
    ask_quantity int8,
    ts_event_ns int8 NOT NULL,
    ts_init_ns int8 NOT NULL,
    stream_no int4 NOT NULL
);
SELECT create_hypertable('series_quote', by_range('ts_event_ns', 86400000000000));
SELECT set_integer_now_func('series_quote', 'series_now_ns');
CREATE INDEX ON series_quote (stream_no, ts_event_ns, sequence);
ALTER TABLE series_quote SET (
    timescaledb.compress,
    timescaledb.compress_segmentby = 'stream_no',
    timescaledb.compress_orderby = 'ts_event_ns, sequence'
);
SELECT add_compression_policy('series_quote', compress_after => 172800000000000::int8);

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
);
SELECT create_hypertable('series_bar', by_range('ts_open_ns', 86400000000000));
SELECT set_integer_now_func('series_bar', 'series_now_ns');
CREATE INDEX ON series_bar (stream_no, ts_open_ns, sequence);
ALTER TABLE series_bar SET (
    timescaledb.compress,
    timescaledb.compress_segmentby = 'stream_no',
    timescaledb.compress_orderby = 'ts_open_ns, sequence'
);
SELECT add_compression_policy('series_bar', compress_after => 172800000000000::int8);

CREATE MATERIALIZED VIEW series_rolled_1m WITH (timescaledb.continuous) AS
    SELECT stream_no, time_bucket(60000000000::int8, ts_event_ns) AS ts_open_ns,
           (min(ARRAY[ts_event_ns, sequence, price]))[3] AS open, max(price) AS high,
           min(price) AS low, (max(ARRAY[ts_event_ns, sequence, price]))[3] AS close,
           sum(quantity) AS volume, count(*) AS trade_count, max(ts_init_ns) AS ts_init_ns
    FROM series_trade WHERE quantity > 0 AND ts_event_ns - 60000000000 <= ts_init_ns
    GROUP BY stream_no, time_bucket(60000000000::int8, ts_event_ns) WITH NO DATA;

CREATE MATERIALIZED VIEW series_rolled_5m WITH (timescaledb.continuous) AS
    SELECT stream_no, time_bucket(300000000000::int8, ts_event_ns) AS ts_open_ns,
           (min(ARRAY[ts_event_ns, sequence, price]))[3] AS open, max(price) AS high,
           min(price) AS low, (max(ARRAY[ts_event_ns, sequence, price]))[3] AS close,
           sum(quantity) AS volume, count(*) AS trade_count, max(ts_init_ns) AS ts_init_ns
    FROM series_trade WHERE quantity > 0 AND ts_event_ns - 60000000000 <= ts_init_ns
    GROUP BY stream_no, time_bucket(300000000000::int8, ts_event_ns) WITH NO DATA;

CREATE MATERIALIZED VIEW series_rolled_1h WITH (timescaledb.continuous) AS
    SELECT stream_no, time_bucket(3600000000000::int8, ts_event_ns) AS ts_open_ns,
           (min(ARRAY[ts_event_ns, sequence, price]))[3] AS open, max(price) AS high,
           min(price) AS low, (max(ARRAY[ts_event_ns, sequence, price]))[3] AS close,
           sum(quantity) AS volume, count(*) AS trade_count, max(ts_init_ns) AS ts_init_ns
    FROM series_trade WHERE quantity > 0 AND ts_event_ns - 60000000000 <= ts_init_ns
    GROUP BY stream_no, time_bucket(3600000000000::int8, ts_event_ns) WITH NO DATA;

CREATE MATERIALIZED VIEW series_rolled_1d WITH (timescaledb.continuous) AS
    SELECT stream_no, time_bucket(86400000000000::int8, ts_event_ns) AS ts_open_ns,
           (min(ARRAY[ts_event_ns, sequence, price]))[3] AS open, max(price) AS high,
           min(price) AS low, (max(ARRAY[ts_event_ns, sequence, price]))[3] AS close,
           sum(quantity) AS volume, count(*) AS trade_count, max(ts_init_ns) AS ts_init_ns
    FROM series_trade WHERE quantity > 0 AND ts_event_ns - 60000000000 <= ts_init_ns
    GROUP BY stream_no, time_bucket(86400000000000::int8, ts_event_ns) WITH NO DATA;

CREATE VIEW series_rolled AS
    SELECT open, high, low, close, trade_count, ts_open_ns, ts_init_ns,
           60000000000::int8 AS interval_ns, stream_no, volume
    FROM series_rolled_1m
    UNION ALL
    SELECT open, high, low, close, trade_count, ts_open_ns, ts_init_ns,
           300000000000::int8 AS interval_ns, stream_no, volume
    FROM series_rolled_5m
    UNION ALL
    SELECT open, high, low, close, trade_count, ts_open_ns, ts_init_ns,
           3600000000000::int8 AS interval_ns, stream_no, volume
    FROM series_rolled_1h
    UNION ALL
    SELECT open, high, low, close, trade_count, ts_open_ns, ts_init_ns,
           86400000000000::int8 AS interval_ns, stream_no, volume
    FROM series_rolled_1d;
