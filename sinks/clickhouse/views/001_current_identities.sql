-- Its last record holds where neither it nor what it follows has ever moved; in the table's own order that is cheap.
CREATE OR REPLACE VIEW current_identities AS
SELECT
    one.identifier AS identifier,
    if(moved.profile_hash != 0, moved.profile_id, one.profile_id) AS profile_id,
    one.own_profile_id AS own_profile_id,
    if(moved.profile_hash != 0, moved.root, one.root) AS root,
    one.last_offset AS last_offset
FROM
(
    SELECT
        identifier,
        argMax(identities.profile_id, _offset) AS profile_id,
        argMax(identities.own_profile_id, _offset) AS own_profile_id,
        argMax(identities.root, _offset) AS root,
        max(_offset) AS last_offset
    FROM identities
    WHERE kind IN ('created', 'stitched', 'merged', 'named', 'released', 'split')
    GROUP BY identifier
    SETTINGS optimize_aggregation_in_order = 1
) AS one
LEFT ANY JOIN moved_identifiers AS moved ON moved.identifier_hash = sipHash64(one.identifier)
COMMENT 'Where each identifier belongs today; what was refused, blocked or found to be shared moves nothing.';
