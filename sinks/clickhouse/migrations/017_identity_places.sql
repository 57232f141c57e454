-- What views of merges read, apart and in numbers: of identities, the records that say more than that somebody is new and
-- alone. Of all identifiers a part ever moves, and few of the rest follow one that does.
CREATE TABLE IF NOT EXISTS identity_places
(
    identifier_hash UInt64 COMMENT 'Of identities.identifier.',
    own_hash UInt64 COMMENT 'Of identities.own_profile_id.',
    root_hash UInt64 COMMENT 'Of identities.root.',
    profile_hash UInt64 COMMENT 'Of identities.profile_id.',
    own_profile_id String COMMENT 'identities.own_profile_id',
    root String COMMENT 'identities.root',
    profile_id String COMMENT 'identities.profile_id',
    is_move Bool COMMENT 'identities.is_move',
    place UInt64 COMMENT 'The record itself, as one number: of the records of an identifier, the one of the highest is the last.'
)
ENGINE = MergeTree
PARTITION BY is_move
ORDER BY (identifier_hash, place)
SETTINGS non_replicated_deduplication_window = 10000, min_bytes_for_wide_part = 67108864
COMMENT 'Records of identities by which an identifier belongs to another, or moves; filled from identities. current_identities is for reading.';

CREATE MATERIALIZED VIEW IF NOT EXISTS identities_to_identity_places TO identity_places AS
SELECT
    sipHash64(identifier) AS identifier_hash,
    sipHash64(own_profile_id) AS own_hash,
    sipHash64(root) AS root_hash,
    sipHash64(profile_id) AS profile_hash,
    own_profile_id,
    root,
    profile_id,
    kind IN ('merged', 'named', 'released', 'split') OR (kind = 'created' AND (root != identifier OR profile_id != own_profile_id)) AS is_move,
    _offset * 65536 + _partition AS place
FROM identities
WHERE kind IN ('merged', 'named', 'released', 'split')
    OR (kind IN ('created', 'stitched') AND (root != identifier OR profile_id != own_profile_id));

INSERT INTO identity_places
SELECT
    sipHash64(identifier) AS identifier_hash,
    sipHash64(own_profile_id) AS own_hash,
    sipHash64(root) AS root_hash,
    sipHash64(profile_id) AS profile_hash,
    own_profile_id,
    root,
    profile_id,
    kind IN ('merged', 'named', 'released', 'split') OR (kind = 'created' AND (root != identifier OR profile_id != own_profile_id)) AS is_move,
    _offset * 65536 + _partition AS place
FROM identities
WHERE (
        kind IN ('merged', 'named', 'released', 'split')
        OR (kind IN ('created', 'stitched') AND (root != identifier OR profile_id != own_profile_id))
    )
    AND _offset * 65536 + _partition NOT IN (SELECT place FROM identity_places);

-- moved_identifiers says it now.
DROP VIEW IF EXISTS changed_identifiers;
