-- What happened in a session. Records of before have nothing of it: no revenue by currency, no path.
ALTER TABLE sessions
    ADD COLUMN IF NOT EXISTS revenue Map(LowCardinality(String), Int64) COMMENT 'Revenue of its orders by currency, in micros; empty currency: an order says none.' AFTER retracted_into,
    ADD COLUMN IF NOT EXISTS is_bounce Bool COMMENT 'It has one touchpoint.' AFTER revenue,
    ADD COLUMN IF NOT EXISTS is_engaged Bool COMMENT 'It lasts 10 s, has an order, or at least two views of a page, screen, product, cart or the like.' AFTER is_bounce,
    ADD COLUMN IF NOT EXISTS path Array(LowCardinality(String)) COMMENT 'channel:event of each touchpoint in order of event time, the first 50; only where is_final, else read touchpoints. The event is other where its name is none that is told apart.' AFTER is_engaged,
    ADD COLUMN IF NOT EXISTS is_path_cut Bool COMMENT 'There are more touchpoints than the path has; only where is_final.' AFTER path,
    ADD COLUMN IF NOT EXISTS events Map(LowCardinality(String), Int32) COMMENT 'Event to how many touchpoints were one, all of them; only where is_final.' AFTER is_path_cut,
    ADD COLUMN IF NOT EXISTS first_campaign Tuple(source Nullable(String), medium Nullable(String), name Nullable(String), term Nullable(String), content Nullable(String)) COMMENT 'Campaign of the first touchpoint that has one; only where is_final.' AFTER events,
    ADD COLUMN IF NOT EXISTS last_campaign Tuple(source Nullable(String), medium Nullable(String), name Nullable(String), term Nullable(String), content Nullable(String)) COMMENT 'Campaign of the last touchpoint that has one; only where is_final.' AFTER first_campaign,
    COMMENT COLUMN revenue_micros 'Revenue of those orders, in micros, whatever the currency: it means something only where revenue has one.';
