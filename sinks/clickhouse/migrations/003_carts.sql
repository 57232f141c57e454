-- One row for each record of the topic carts.
CREATE TABLE IF NOT EXISTS carts
(
    episode_id String COMMENT 'Derived from the touchpoint that opened the cart.',
    profile_id String COMMENT 'The person, as known at this revision.',
    revision Int64 COMMENT 'Rises with every change of this episode.',
    status LowCardinality(String) COMMENT 'open, abandoned, purchased, emptied or retracted.',
    cart_id Nullable(String) COMMENT 'The shop\'s id of the cart, if it has one.',
    opened_at DateTime64(3, 'UTC') COMMENT 'Event time of the touchpoint that made the cart non-empty.',
    updated_at DateTime64(3, 'UTC') COMMENT 'Event time of the last touchpoint that changed it.',
    items Array(Tuple(product_id String, name String, category String, quantity Int64, price_micros Int64)) COMMENT 'What is or was in it.',
    value_micros Int64 COMMENT 'Sum of quantity times price, in micros.',
    currency LowCardinality(Nullable(String)) COMMENT 'ISO 4217 code of every amount in the record.',
    settled_by Nullable(String) COMMENT 'message_id of the touchpoint that emptied it.',
    retracted_into Nullable(String) COMMENT 'Episode that took its place.',
    _partition UInt16 COMMENT 'Partition of the topic the record was read from.',
    _offset UInt64 COMMENT 'Offset in that partition: (_partition, _offset) is the record itself.'
)
ENGINE = MergeTree
ORDER BY (episode_id, revision)
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_wide_part = 67108864
COMMENT 'Every revision of every cart; current_carts is for reading.';
