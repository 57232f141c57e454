-- Whoever never moves and follows nobody who does needs no looking up. An identifier is where its last record says, or where
-- the root is that it names there, two steps at most.
CREATE OR REPLACE VIEW moved_identifiers AS
WITH
    moving AS
    (
        SELECT identifier_hash FROM identity_places WHERE is_move
    ),
    followed AS
    (
        SELECT
            identifier_hash,
            argMax(record.root_hash, place) AS root_hash,
            argMax(record.root, place) AS root,
            argMax(record.profile_hash, place) AS profile_hash,
            argMax(record.profile_id, place) AS profile_id
        FROM identity_places AS record
        WHERE is_move AND identifier_hash IN
            (
                SELECT root_hash FROM identity_places WHERE is_move OR root_hash IN (SELECT identifier_hash FROM moving)
            )
        GROUP BY identifier_hash
    ),
    home AS
    (
        SELECT
            identifier_hash,
            argMax(record.profile_hash, place) AS profile_hash,
            argMax(record.profile_id, place) AS profile_id
        FROM identity_places AS record
        WHERE is_move AND identifier_hash IN (SELECT root_hash FROM identity_places WHERE is_move)
        GROUP BY identifier_hash
    )
SELECT
    one.identifier_hash AS identifier_hash,
    one.own_hash AS own_hash,
    one.own_profile_id AS own_profile_id,
    if(followed.profile_hash != 0, followed.root, one.root) AS root,
    multiIf(home.profile_hash != 0, home.profile_id, followed.profile_hash != 0, followed.profile_id, one.profile_id) AS profile_id,
    multiIf(home.profile_hash != 0, home.profile_hash, followed.profile_hash != 0, followed.profile_hash, one.profile_hash) AS profile_hash
FROM
(
    SELECT
        identifier_hash,
        argMax(record.own_hash, place) AS own_hash,
        argMax(record.own_profile_id, place) AS own_profile_id,
        argMax(record.root_hash, place) AS root_hash,
        argMax(record.root, place) AS root,
        argMax(record.profile_hash, place) AS profile_hash,
        argMax(record.profile_id, place) AS profile_id
    FROM identity_places AS record
    WHERE is_move OR record.root_hash IN (SELECT identifier_hash FROM moving)
    GROUP BY identifier_hash
) AS one
LEFT ANY JOIN followed ON followed.identifier_hash = one.root_hash
LEFT ANY JOIN home ON home.identifier_hash = followed.root_hash
COMMENT 'Where each identifier belongs today that has moved, or follows one that has, by hash: its root, its profile, and the one it has by itself.';
