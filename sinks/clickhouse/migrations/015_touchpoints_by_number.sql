-- More of what views compare, as numbers worked out while rows land; 64 bits are taken for the text, as in 013.
ALTER TABLE touchpoints
    ADD COLUMN IF NOT EXISTS message_key UInt64 MATERIALIZED sipHash64(message_id) COMMENT 'Of message_id, with enough bits to stand for it.',
    ADD COLUMN IF NOT EXISTS profile_hash UInt64 MATERIALIZED sipHash64(profile_id) COMMENT 'Of profile_id, as it was when it was stitched.',
    ADD COLUMN IF NOT EXISTS is_about_order Bool MATERIALIZED event IN ('Order Completed', 'Order Refunded') OR is_return OR ifNull(order_id, '') != '' COMMENT 'It is about an order, a return or a refund.';

-- A revision that was overtaken is told from the one that holds by the place of its record.
ALTER TABLE sessions
    ADD COLUMN IF NOT EXISTS place UInt64 MATERIALIZED _offset * 65536 + _partition COMMENT 'The record itself, as one number.';

ALTER TABLE carts
    ADD COLUMN IF NOT EXISTS episode_hash UInt64 MATERIALIZED sipHash64(episode_id) COMMENT 'Of episode_id.',
    ADD COLUMN IF NOT EXISTS place UInt64 MATERIALIZED _offset * 65536 + _partition COMMENT 'The record itself, as one number.';

ALTER TABLE actions
    ADD COLUMN IF NOT EXISTS action_hash UInt64 MATERIALIZED sipHash64(action_id) COMMENT 'Of action_id.',
    ADD COLUMN IF NOT EXISTS place UInt64 MATERIALIZED _offset * 65536 + _partition COMMENT 'The record itself, as one number.';

ALTER TABLE touchpoints MATERIALIZE COLUMN message_key, MATERIALIZE COLUMN profile_hash, MATERIALIZE COLUMN is_about_order;

ALTER TABLE sessions MATERIALIZE COLUMN place;

ALTER TABLE carts MATERIALIZE COLUMN episode_hash, MATERIALIZE COLUMN place;

ALTER TABLE actions MATERIALIZE COLUMN action_hash, MATERIALIZE COLUMN place;

-- What views of orders read, apart: few touchpoints are about an order, and they lie everywhere among the others.
CREATE TABLE IF NOT EXISTS order_records
(
    order_hash UInt64 COMMENT 'Of order_id, where that is empty of message_id: rows of one order have the same one.',
    message_id String COMMENT 'touchpoints.message_id',
    event LowCardinality(String) COMMENT 'touchpoints.event',
    channel LowCardinality(String) COMMENT 'touchpoints.channel',
    event_at DateTime64(3, 'UTC') COMMENT 'touchpoints.event_at',
    profile_id String COMMENT 'touchpoints.profile_id',
    session_id Nullable(String) COMMENT 'touchpoints.session_id',
    is_late Bool COMMENT 'touchpoints.is_late',
    order_id Nullable(String) COMMENT 'touchpoints.order_id',
    is_sale Bool COMMENT 'It tells of an order: Order Completed, and nothing came back.',
    is_refund Bool COMMENT 'It tells of a return or a refund: goods came back to a till, or Order Refunded.',
    return_id String COMMENT 'touchpoints.return_id',
    return_reason String COMMENT 'touchpoints.return_reason',
    refunded_micros Nullable(UInt64) COMMENT 'What was paid back, else the revenue or the items that are stated, in micros; NULL where it is no refund or nothing is stated.',
    items Array(Tuple(product_id String, name String, category String, quantity Int64, price_micros Int64)) COMMENT 'touchpoints.items',
    revenue_micros Nullable(Int64) COMMENT 'touchpoints.revenue_micros',
    currency LowCardinality(Nullable(String)) COMMENT 'touchpoints.currency',
    location_id Nullable(String) COMMENT 'touchpoints.location_id',
    coupon_code String COMMENT 'touchpoints.coupon_code',
    order_status String COMMENT 'touchpoints.order_status',
    shipping_method String COMMENT 'touchpoints.shipping_method',
    delivered_at Nullable(DateTime64(3, 'UTC')) COMMENT 'touchpoints.delivered_at',
    message_key UInt64 COMMENT 'touchpoints.message_key',
    owner_hash UInt64 COMMENT 'touchpoints.owner_hash',
    profile_hash UInt64 COMMENT 'touchpoints.profile_hash',
    session_hash UInt64 COMMENT 'touchpoints.session_hash',
    place UInt64 COMMENT 'touchpoints.place'
)
ENGINE = MergeTree
ORDER BY (order_hash, event_at)
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_wide_part = 67108864
COMMENT 'Touchpoints about orders, returns and refunds as they were landed, repeats included, with what views of orders read; filled from touchpoints. orders is for reading.';

CREATE MATERIALIZED VIEW IF NOT EXISTS touchpoints_to_order_records TO order_records AS
SELECT
    sipHash64(if(ifNull(order_id, '') = '', message_id, assumeNotNull(order_id))) AS order_hash,
    message_id,
    event,
    channel,
    event_at,
    profile_id,
    session_id,
    is_late,
    order_id,
    event = 'Order Completed' AND NOT is_return AS is_sale,
    is_return OR event = 'Order Refunded' AS is_refund,
    return_id,
    return_reason,
    if(
        is_return OR event = 'Order Refunded',
        abs(coalesce(
            refund_micros,
            revenue_micros,
            if(empty(items), NULL, arraySum(item -> item.quantity * item.price_micros, items))
        )),
        NULL
    ) AS refunded_micros,
    items,
    revenue_micros,
    currency,
    location_id,
    coupon_code,
    order_status,
    shipping_method,
    delivered_at,
    sipHash64(message_id) AS message_key,
    sipHash64(if(identified_by = '', profile_id, identified_by)) AS owner_hash,
    sipHash64(profile_id) AS profile_hash,
    sipHash64(ifNull(session_id, '')) AS session_hash,
    _offset * 65536 + _partition AS place
FROM touchpoints
WHERE event IN ('Order Completed', 'Order Refunded') OR is_return OR ifNull(order_id, '') != '';

INSERT INTO order_records
SELECT
    sipHash64(if(ifNull(order_id, '') = '', message_id, assumeNotNull(order_id))) AS order_hash,
    message_id,
    event,
    channel,
    event_at,
    profile_id,
    session_id,
    is_late,
    order_id,
    event = 'Order Completed' AND NOT is_return AS is_sale,
    is_return OR event = 'Order Refunded' AS is_refund,
    return_id,
    return_reason,
    if(
        is_return OR event = 'Order Refunded',
        abs(coalesce(
            refund_micros,
            revenue_micros,
            if(empty(items), NULL, arraySum(item -> item.quantity * item.price_micros, items))
        )),
        NULL
    ) AS refunded_micros,
    items,
    revenue_micros,
    currency,
    location_id,
    coupon_code,
    order_status,
    shipping_method,
    delivered_at,
    sipHash64(message_id) AS message_key,
    sipHash64(if(identified_by = '', profile_id, identified_by)) AS owner_hash,
    sipHash64(profile_id) AS profile_hash,
    sipHash64(ifNull(session_id, '')) AS session_hash,
    _offset * 65536 + _partition AS place
FROM touchpoints
WHERE (event IN ('Order Completed', 'Order Refunded') OR is_return OR ifNull(order_id, '') != '')
    AND _offset * 65536 + _partition NOT IN (SELECT place FROM order_records);
