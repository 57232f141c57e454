-- One row for each record of the topic deliveries.
CREATE TABLE IF NOT EXISTS deliveries
(
    endpoint LowCardinality(String) COMMENT 'Name of the endpoint in the settings.',
    action_id String COMMENT 'The action it is about.',
    revision Int64 COMMENT 'The action\'s revision that was, or would have been, sent.',
    profile_id String COMMENT 'The person, as known at that revision.',
    trigger LowCardinality(String) COMMENT 'Rule that led to the action, as in abandoned_cart.',
    step Int32 COMMENT 'Step of the rule\'s sequence, from 1.',
    status LowCardinality(String) COMMENT 'What was told: due, cancelled or recovered.',
    outcome LowCardinality(String) COMMENT 'delivered, retrying, given_up or withdrawn; all but retrying are final for the revision.',
    reason LowCardinality(String) COMMENT 'Why it was not delivered: refused, busy, failed, timeout, connection, expired or superseded; empty where it was.',
    attempt Int32 COMMENT 'Number of the request since the service read the action, from 1; 0: none was made.',
    attempted_at DateTime64(3, 'UTC') COMMENT 'Wall clock when the attempt began, or when it was decided to make none.',
    latency_ms Int64 COMMENT 'From the request to its answer or failure, in milliseconds; 0 where there was no request.',
    response_status Nullable(Int32) COMMENT 'HTTP status of the answer, if there was one.',
    retry_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it is tried again; only where retrying.',
    is_sent Bool COMMENT 'The receiver has it or may have it: a request for this revision left.',
    idempotency_key String COMMENT 'The Idempotency-Key it goes, or would go, under.',
    _partition UInt16 COMMENT 'Partition of the topic the record was read from.',
    _offset UInt64 COMMENT 'Offset in that partition: (_partition, _offset) is the record itself.'
)
ENGINE = MergeTree
ORDER BY (endpoint, action_id, revision)
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_wide_part = 67108864
COMMENT 'Every attempt to tell an endpoint of an action; current_deliveries is for reading.';
