-- Few identifiers ever move; everybody else needs no looking up. By the hash that touchpoints have of the identifier they
-- were stitched by, and by that of a former profile_id. Read as changed_identifiers, in numbers.
-- Whom an identifier follows is looked up twice, by a GROUP BY each time instead of a join, so that identities are read
-- once: under each key are the identifier itself and those that ask for it.
CREATE OR REPLACE VIEW moved_owners AS
WITH
    changing AS
    (
        SELECT identifier_hash FROM identities WHERE is_move
    )
SELECT owner_hash, argMax(asked.profile_id, asked.last_offset) AS profile_id, sipHash64(profile_id) AS profile_hash
FROM
(
    SELECT
        anyIf(step.said.profile_id, step.is_itself) AS home,
        arrayMap(
            one -> CAST(
                (one.identifier, one.own, one.last_offset, if(home = '', one.profile_id, home)),
                'Tuple(identifier UInt64, own UInt64, last_offset UInt64, profile_id String)'
            ),
            groupArrayIf(step.said, NOT step.is_itself)
        ) AS asking
    FROM
    (
        SELECT key, anyIf(one, is_itself) AS itself, groupArrayIf(one, NOT is_itself) AS following
        FROM
        (
            SELECT CAST(
                (
                    identifier_hash,
                    argMax(identities.own_hash, _offset),
                    max(_offset),
                    argMax(identities.profile_id, _offset),
                    argMax(identities.root_hash, _offset)
                ),
                'Tuple(identifier UInt64, own UInt64, last_offset UInt64, profile_id String, root UInt64)'
            ) AS one
            FROM identities
            WHERE kind IN ('created', 'stitched', 'merged', 'named', 'released', 'split')
                AND (
                    identifier_hash IN (SELECT identifier_hash FROM changing)
                    OR root_hash IN (SELECT identifier_hash FROM changing)
                    OR identifier_hash IN
                    (
                        SELECT root_hash FROM identities WHERE identifier_hash IN (SELECT identifier_hash FROM changing)
                    )
                )
            GROUP BY identifier_hash
        )
        ARRAY JOIN [one.identifier, one.root] AS key, [true, false] AS is_itself
        GROUP BY key
    )
    ARRAY JOIN CAST(
        arrayConcat(
            arrayMap(
                one -> (
                    itself.root,
                    (one.identifier, one.own, one.last_offset, if(itself.profile_id = '', one.profile_id, itself.profile_id)),
                    false
                ),
                following
            ),
            if(
                itself.profile_id = '',
                [],
                [(key, (key, itself.own, itself.last_offset, itself.profile_id), true)]
            )
        ),
        'Array(Tuple(key UInt64, said Tuple(identifier UInt64, own UInt64, last_offset UInt64, profile_id String), is_itself Bool))'
    ) AS step
    GROUP BY step.key
)
ARRAY JOIN asking AS asked
ARRAY JOIN [asked.identifier, asked.own] AS owner_hash
GROUP BY owner_hash
COMMENT 'touchpoints.owner_hash to today\'s profile_id and its hash, for those that may have another one written; also the hash of a former profile_id.';
