-- Few identifiers ever move; everybody else needs no looking up. By the hash that touchpoints have of the identifier they
-- were stitched by, and by that of a former profile_id. Read as changed_identifiers, in numbers.
CREATE OR REPLACE VIEW moved_owners AS
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
        identifier_hash,
        argMax(identities.profile_id, _offset) AS profile_id,
        argMax(identities.own_hash, _offset) AS own_hash,
        argMax(identities.root_hash, _offset) AS root_hash,
        max(_offset) AS last_offset
    FROM identities
    WHERE kind IN ('created', 'stitched', 'merged', 'named', 'released', 'split')
        AND (
            identities.identifier_hash IN (SELECT identifier_hash FROM changing)
            OR identities.identifier_hash IN (SELECT root_hash FROM followed_by_changing)
            OR identities.root_hash IN (SELECT identifier_hash FROM changing)
        )
    GROUP BY identifier_hash
)
SELECT
    owner_hash,
    argMax(
        multiIf(
            home.profile_id != '', home.profile_id,
            followed.profile_id != '', followed.profile_id,
            one.profile_id
        ),
        one.last_offset
    ) AS profile_id
FROM placed AS one
LEFT ANY JOIN placed AS followed ON followed.identifier_hash = one.root_hash
LEFT ANY JOIN placed AS home ON home.identifier_hash = followed.root_hash
ARRAY JOIN [one.identifier_hash, one.own_hash] AS owner_hash
GROUP BY owner_hash
COMMENT 'touchpoints.owner_hash to today\'s profile_id, for those that may have another one written; also the hash of a former profile_id.';
