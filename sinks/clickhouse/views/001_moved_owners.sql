-- Whoever never moves and follows nobody who does needs no looking up. Whom others do is found by the hash that touchpoints
-- have of the identifier they were stitched by, and by that of a former profile_id.
-- An identifier is where its last record says, or where the root is that it names there, two steps at most.
-- What stands in comments narrows it to some owners, where a view names these behind it: moved_owners OF (SELECT …).
CREATE OR REPLACE VIEW moved_owners AS
WITH
    moving AS
    (
        SELECT identifier_hash
        FROM identity_places
        WHERE is_move
            /* of: AND identifier_hash IN (SELECT root_hash FROM identity_places WHERE NOT is_move AND (identifier_hash IN {of} OR own_hash IN {of})) */
    ),
    followed_roots AS
    (
        SELECT root_hash
        FROM identity_places
        WHERE (is_move OR root_hash IN (SELECT identifier_hash FROM moving))
            /* of: AND (identifier_hash IN {of} OR own_hash IN {of}) */
    ),
    followed AS
    (
        SELECT
            identifier_hash,
            argMax(record.root_hash, place) AS root_hash,
            argMax(record.profile_hash, place) AS profile_hash,
            argMax(record.profile_id, place) AS profile_id
        FROM identity_places AS record
        WHERE is_move AND identifier_hash IN (SELECT root_hash FROM followed_roots)
        GROUP BY identifier_hash
    ),
    home AS
    (
        SELECT
            identifier_hash,
            argMax(record.profile_hash, place) AS profile_hash,
            argMax(record.profile_id, place) AS profile_id
        FROM identity_places AS record
        WHERE is_move AND identifier_hash IN
            (
                SELECT root_hash FROM identity_places
                WHERE is_move /* of: AND identifier_hash IN (SELECT root_hash FROM followed_roots) */
            )
        GROUP BY identifier_hash
    )
SELECT
    owner_hash,
    multiIf(home.profile_hash != 0, home.profile_id, followed.profile_hash != 0, followed.profile_id, one.profile_id) AS profile_id,
    multiIf(home.profile_hash != 0, home.profile_hash, followed.profile_hash != 0, followed.profile_hash, one.profile_hash) AS profile_hash
FROM
(
    SELECT
        identifier_hash,
        argMax(record.own_hash, place) AS own_hash,
        argMax(record.root_hash, place) AS root_hash,
        argMax(record.profile_hash, place) AS profile_hash,
        argMax(record.profile_id, place) AS profile_id
    FROM identity_places AS record
    WHERE (is_move OR record.root_hash IN (SELECT identifier_hash FROM moving))
        /* of: AND (identifier_hash IN {of} OR record.own_hash IN {of}) */
    GROUP BY identifier_hash
) AS one
LEFT ANY JOIN followed ON followed.identifier_hash = one.root_hash
LEFT ANY JOIN home ON home.identifier_hash = followed.root_hash
ARRAY JOIN [one.identifier_hash, one.own_hash] AS owner_hash
COMMENT 'touchpoints.owner_hash to today\'s profile_id and its hash, for those that may have another one written; also the hash of a former profile_id.';
