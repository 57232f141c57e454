-- One row for each record of the topic identities. All records of an identifier lie in one partition.
CREATE TABLE IF NOT EXISTS identities
(
    identifier String COMMENT 'type:value.',
    profile_id String COMMENT 'The person it belongs to: the profile of its root.',
    own_profile_id String COMMENT 'The profile it has, or would have, as a root itself.',
    root String COMMENT 'Root of the person, type:value.',
    kind LowCardinality(String) COMMENT 'created, stitched, merged or refused.',
    caused_by String COMMENT 'message_id of the touchpoint that caused it.',
    decided_at DateTime64(3, 'UTC') COMMENT 'Clock of the task that decided it.',
    _partition UInt16 COMMENT 'Partition of the topic the record was read from.',
    _offset UInt64 COMMENT 'Offset in that partition: (_partition, _offset) is the record itself.'
)
ENGINE = MergeTree
ORDER BY (identifier, _partition, _offset)
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_wide_part = 67108864
COMMENT 'Where each identifier belongs, as a log: its last record holds.';
