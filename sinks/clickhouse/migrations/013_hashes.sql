-- Numbers that views compare instead of long text, worked out as rows land. Two texts of one hash do harm nowhere that
-- 32 bits are used: there the text itself decides afterwards. 64 bits are taken for the text.
ALTER TABLE touchpoints
    ADD COLUMN IF NOT EXISTS message_hash UInt32 MATERIALIZED toUInt32(sipHash64(message_id)) COMMENT 'Of message_id: rows that may be copies of each other have the same one.',
    ADD COLUMN IF NOT EXISTS owner_hash UInt64 MATERIALIZED sipHash64(if(identified_by = '', profile_id, identified_by)) COMMENT 'Of what says whose it is: identified_by, where that is empty profile_id.',
    ADD COLUMN IF NOT EXISTS session_hash UInt64 MATERIALIZED sipHash64(ifNull(session_id, '')) COMMENT 'Of session_id, as it was when it was stitched.',
    ADD COLUMN IF NOT EXISTS place UInt64 MATERIALIZED _offset * 65536 + _partition COMMENT 'The record itself, as one number.';

-- Who was created as a root or taken by one, and no more, is where that record says: only others can be elsewhere today.
ALTER TABLE identities
    ADD COLUMN IF NOT EXISTS identifier_hash UInt64 MATERIALIZED sipHash64(identifier) COMMENT 'Of identifier.',
    ADD COLUMN IF NOT EXISTS root_hash UInt64 MATERIALIZED sipHash64(root) COMMENT 'Of root.',
    ADD COLUMN IF NOT EXISTS own_hash UInt64 MATERIALIZED sipHash64(own_profile_id) COMMENT 'Of own_profile_id.',
    ADD COLUMN IF NOT EXISTS is_move Bool MATERIALIZED kind IN ('merged', 'named', 'released', 'split') OR (kind = 'created' AND (root != identifier OR profile_id != own_profile_id)) COMMENT 'It may lead away from where the identifier was before, or from where others were told that it is.';

ALTER TABLE sessions
    ADD COLUMN IF NOT EXISTS session_hash UInt64 MATERIALIZED sipHash64(session_id) COMMENT 'Of session_id.';

ALTER TABLE touchpoints MATERIALIZE COLUMN message_hash, MATERIALIZE COLUMN owner_hash, MATERIALIZE COLUMN session_hash, MATERIALIZE COLUMN place;

ALTER TABLE identities MATERIALIZE COLUMN identifier_hash, MATERIALIZE COLUMN root_hash, MATERIALIZE COLUMN own_hash, MATERIALIZE COLUMN is_move;

ALTER TABLE sessions MATERIALIZE COLUMN session_hash;
