-- One row for each record of the topic sessions.
CREATE TABLE IF NOT EXISTS sessions
(
    session_id String COMMENT 'Derived from the first touchpoint: the same for ever, whoever computes it.',
    profile_id String COMMENT 'The person, as known at this revision.',
    revision Int64 COMMENT 'Rises with every change of this session.',
    started_at DateTime64(3, 'UTC') COMMENT 'Event time of the first touchpoint.',
    ended_at DateTime64(3, 'UTC') COMMENT 'Event time of the last touchpoint.',
    touchpoints Int32 COMMENT 'How many touchpoints it has.',
    channels Array(LowCardinality(String)) COMMENT 'Channels in the order they first appear.',
    orders Int32 COMMENT 'How many orders were completed in it.',
    revenue_micros Int64 COMMENT 'Revenue of those orders, in micros.',
    is_final Bool COMMENT 'Nothing on time can change it any more.',
    is_retracted Bool COMMENT 'There is no such session: it was bridged or its first touchpoint changed.',
    retracted_into Nullable(String) COMMENT 'Session that took its touchpoints.',
    _partition UInt16 COMMENT 'Partition of the topic the record was read from.',
    _offset UInt64 COMMENT 'Offset in that partition: (_partition, _offset) is the record itself.'
)
ENGINE = MergeTree
ORDER BY (session_id, revision)
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_wide_part = 67108864
COMMENT 'Every revision of every session; current_sessions is for reading.';
