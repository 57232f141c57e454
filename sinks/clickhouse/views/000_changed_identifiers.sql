-- Few identifiers ever move; everybody else needs no looking up. Those that may be elsewhere today than some record of
-- them says: who has moved, whoever followed one of them, and whom these follow.
-- All records of an identifier lie in one partition, so its last one is that of the highest offset. An identifier
-- follows its root, or one that has been its root; that one's last record says where both are now.
CREATE OR REPLACE VIEW changed_identifiers AS
WITH
changing AS
(
    SELECT identifier_hash FROM identities WHERE is_move
),
followed_by_changing AS
(
    SELECT root_hash FROM identities WHERE identifier_hash IN (SELECT identifier_hash FROM changing)
),
placed AS
(
    SELECT
        identifier,
        argMax(identities.profile_id, _offset) AS profile_id,
        argMax(identities.own_profile_id, _offset) AS own_profile_id,
        argMax(identities.root, _offset) AS root,
        max(_offset) AS last_offset
    FROM identities
    WHERE kind IN ('created', 'stitched', 'merged', 'named', 'released', 'split')
        AND (
            identifier_hash IN (SELECT identifier_hash FROM changing)
            OR identifier_hash IN (SELECT root_hash FROM followed_by_changing)
            OR root_hash IN (SELECT identifier_hash FROM changing)
        )
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
COMMENT 'Where each identifier belongs today that has been elsewhere before, or follows or followed one that has.';
