-- What `throughline clv` works out: one row a customer, currency and run.
CREATE TABLE IF NOT EXISTS customer_values
(
    profile_id String COMMENT 'The person, as known when the run was made.',
    currency LowCardinality(Nullable(String)) COMMENT 'ISO 4217 code of the orders and amounts.',
    computed_at DateTime64(3, 'UTC') COMMENT 'When the run was made; the same for all its rows.',
    until Date COMMENT 'Last day (UTC) whose orders were known to the run.',
    horizon_weeks Float64 COMMENT 'How far from then the expectation reaches.',
    frequency UInt32 COMMENT 'Days with a purchase after the first such day.',
    recency_weeks Float64 COMMENT 'From the first of them to the last.',
    age_weeks Float64 COMMENT 'From the first of them to until.',
    monetary_micros Float64 COMMENT 'Mean net revenue of the repeat days, 0 without any.',
    alive Float64 COMMENT 'Probability that the person still is a customer (BG/NBD).',
    expected_orders Float64 COMMENT 'Days with a purchase to expect within the horizon (BG/NBD).',
    expected_order_micros Float64 COMMENT 'Net revenue to expect of one of these days (Gamma-Gamma).',
    expected_value_micros Float64 COMMENT 'Net revenue to expect within the horizon, not discounted.',
    model Map(LowCardinality(String), Float64) COMMENT 'The parameters that were fitted: r, alpha, a, b of BG/NBD, p, q, v of Gamma-Gamma.'
)
ENGINE = MergeTree
ORDER BY (computed_at, profile_id)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Every run of throughline clv; current_customer_values is for reading.';
