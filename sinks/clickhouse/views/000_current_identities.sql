-- All records of an identifier lie in one partition, so its last one is that of the highest offset.
CREATE OR REPLACE VIEW current_identities AS
SELECT
    identifier,
    argMax(identities.profile_id, _offset) AS profile_id,
    argMax(identities.own_profile_id, _offset) AS own_profile_id,
    argMax(identities.root, _offset) AS root,
    max(_offset) AS last_offset
FROM identities
WHERE kind IN ('created', 'stitched', 'merged', 'released', 'split')
GROUP BY identifier
COMMENT 'Where each identifier belongs today; what was refused, blocked or found to be shared moves nothing.';
