-- All records of an identifier lie in one partition, so its last one is that of the highest offset. An identifier
-- follows its root, or one that has been its root; that one's last record says where both are now.
CREATE OR REPLACE VIEW current_identities AS
WITH placed AS
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
)
SELECT
    one.identifier AS identifier,
    multiIf(
        home.profile_id != '', home.profile_id,
        followed.profile_id != '', followed.profile_id,
        one.profile_id
    ) AS profile_id,
    one.own_profile_id AS own_profile_id,
    multiIf(home.identifier != '', home.identifier, followed.identifier != '', followed.identifier, one.root) AS root,
    one.last_offset AS last_offset
FROM placed AS one
LEFT ANY JOIN placed AS followed ON followed.identifier = one.root
LEFT ANY JOIN placed AS home ON home.identifier = followed.root
COMMENT 'Where each identifier belongs today; what was refused, blocked or found to be shared moves nothing.';
