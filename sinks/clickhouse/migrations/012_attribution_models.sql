-- What `throughline attribution` works out: models that no query can, one row for each model, channel and currency of a run.
CREATE TABLE IF NOT EXISTS attribution_models
(
    computed_at DateTime64(3, 'UTC') COMMENT 'When it was worked out; one moment for all rows of a run.',
    model LowCardinality(String) COMMENT 'markov, shapley or counterfactual.',
    channel LowCardinality(String) COMMENT 'Marketing channel that is credited.',
    currency LowCardinality(String) COMMENT 'ISO 4217 code of the revenue; empty where orders tell none.',
    conversions Float64 COMMENT 'Orders in this currency that are credited to the channel.',
    revenue_micros Int64 COMMENT 'Their revenue that is credited to the channel, in micros; an order that tells none counts 0.',
    lookback_days UInt16 COMMENT 'How many days before an order count.'
)
ENGINE = MergeTree
ORDER BY (computed_at, model, channel, currency)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Credits of marketing channels by models that are worked out outside, run by run; current_attribution_models is for reading.';
