-- One row for each record of the topic actions.
CREATE TABLE IF NOT EXISTS actions
(
    action_id String COMMENT 'Derived from the opening touchpoint, trigger and step: retries and replays cannot make two.',
    profile_id String COMMENT 'The person, as known at this revision.',
    revision Int64 COMMENT 'Rises with every change of this action.',
    trigger LowCardinality(String) COMMENT 'Rule that led to it, as in abandoned_cart.',
    step Int32 COMMENT 'Step of the rule\'s sequence, from 1.',
    status LowCardinality(String) COMMENT 'due, cancelled or recovered.',
    due_at DateTime64(3, 'UTC') COMMENT 'When it was due, in event time.',
    decided_at DateTime64(3, 'UTC') COMMENT 'Timer clock at which it was decided.',
    expires_at DateTime64(3, 'UTC') COMMENT 'Not worth sending afterwards.',
    opened_at DateTime64(3, 'UTC') COMMENT 'When the cart was opened.',
    opened_by String COMMENT 'message_id of the cart\'s first touchpoint.',
    cart_id Nullable(String) COMMENT 'The shop\'s id of the cart, if it has one.',
    items Array(Tuple(product_id String, name String, category String, quantity Int64, price_micros Int64)) COMMENT 'What lay in the cart when it was abandoned.',
    value_micros Int64 COMMENT 'Sum of quantity times price, in micros.',
    currency LowCardinality(Nullable(String)) COMMENT 'ISO 4217 code of every amount in the record.',
    identifiers Map(LowCardinality(String), String) COMMENT 'Identifier type to value, one each: the addresses to reach the person at.',
    channels Array(LowCardinality(String)) COMMENT 'Channels to reach the person through, preferred first.',
    reason String COMMENT 'Why, in one sentence.',
    caused_by Array(String) COMMENT 'message_ids of the touchpoints that led to it.',
    historical Bool COMMENT 'Decided too long after it was due: for analysis, never sent on.',
    variant LowCardinality(Nullable(String)) COMMENT 'Experiment variant the person is in.',
    recovered_micros Nullable(Int64) COMMENT 'Revenue of the order that recovered the cart, in micros.',
    _partition UInt16 COMMENT 'Partition of the topic the record was read from.',
    _offset UInt64 COMMENT 'Offset in that partition: (_partition, _offset) is the record itself.'
)
ENGINE = MergeTree
ORDER BY (action_id, revision)
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_wide_part = 67108864
COMMENT 'Every decision and its later fate; current_actions is for reading.';
