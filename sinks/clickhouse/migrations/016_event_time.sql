-- As the pipeline counts it: by whom it was received may be ahead of Kafka's clock, and nothing occurs after it arrived.
-- What has landed before keeps the time it has.
ALTER TABLE touchpoints
    MODIFY COLUMN event_at DateTime64(3, 'UTC') DEFAULT least(occurred_at, received_at, stitched_at) COMMENT 'Event time as the rules count it: nothing occurs after it was received, or after it arrived.';
