-- To follow everybody who moves to where they are today costs more than most questions that need it, so the sink keeps it
-- up to date, for those alone whom its records are about. Who sees more of the records overrules who saw less, in
-- whatever order they write: no lock, and writing again changes nothing.
CREATE TABLE IF NOT EXISTS resolved_identifiers
(
    identifier_hash UInt64 COMMENT 'Of identities.identifier.',
    own_hash UInt64 COMMENT 'Of own_profile_id.',
    own_profile_id String COMMENT 'The profile_id that the identifier has by itself.',
    root String COMMENT 'The identifier whose profile it belongs to today.',
    profile_id String COMMENT 'The profile it belongs to today.',
    profile_hash UInt64 COMMENT 'Of profile_id.',
    version UInt256 COMMENT 'The places of the records that say so, the identifier\'s own first: of several rows, the one of the highest holds.'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY identifier_hash
COMMENT 'Where identifiers belong that have moved, or follow one that has; kept up to date by the sink. moved_identifiers is for reading.';

CREATE TABLE IF NOT EXISTS resolved_offsets
(
    _partition UInt16 COMMENT 'Of the topic identities.',
    next_offset UInt64 COMMENT 'All records before it are in resolved_identifiers.'
)
ENGINE = ReplacingMergeTree(next_offset)
ORDER BY _partition
COMMENT 'How far resolved_identifiers is, by partition.';
