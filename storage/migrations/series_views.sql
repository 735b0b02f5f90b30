-- What people and dashboards read, whatever the layout is. Numbers stay mantissas.
CREATE VIEW market_trade AS
    SELECT instrument_id, price_decimals, quantity_decimals, sequence, price, quantity, aggressor,
           trade_id, ts_event_ns, ts_init_ns
    FROM series_trade JOIN series_stream USING (stream_no)
    JOIN series_instrument USING (instrument_no);

CREATE VIEW market_quote AS
    SELECT instrument_id, price_decimals, quantity_decimals, sequence, bid_price, bid_quantity,
           ask_price, ask_quantity, ts_event_ns, ts_init_ns
    FROM series_quote JOIN series_stream USING (stream_no)
    JOIN series_instrument USING (instrument_no);

CREATE VIEW market_bar AS
    SELECT instrument_id, price_decimals, quantity_decimals, name AS spec, sequence, open, high,
           low, close, volume, trade_count, ts_open_ns, ts_init_ns
    FROM series_bar JOIN series_stream USING (stream_no)
    JOIN series_instrument USING (instrument_no);

CREATE VIEW market_rolled AS
    SELECT instrument_id, price_decimals, quantity_decimals, interval_ns, open, high, low, close,
           volume, trade_count, ts_open_ns, ts_init_ns
    FROM series_rolled JOIN series_stream USING (stream_no)
    JOIN series_instrument USING (instrument_no);
