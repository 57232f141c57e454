-- Of a period too.
CREATE OR REPLACE VIEW loyalty AS
WITH
    (said.event_at, said.message_id) AS place,
    arraySort(groupArray(
        (place, ifNull(said.points_delta, 0), said.points_balance IS NOT NULL, ifNull(said.points_balance, 0))
    )) AS moves,
    arrayLastIndex(move -> move.3, moves) AS stated
SELECT
    said.profile_id AS profile_id,
    said.program AS program,
    if(stated = 0, 0, moves[stated].4) + arraySum(move -> move.2, arraySlice(moves, stated + 1)) AS points,
    sum(greatest(ifNull(said.points_delta, 0), 0)) AS points_earned,
    -sum(least(ifNull(said.points_delta, 0), 0)) AS points_spent,
    argMaxIf(said.tier, place, said.tier != '') AS tier,
    maxOrNullIf(
        said.event_at, said.tier != '' AND said.previous_tier != '' AND said.tier != said.previous_tier
    ) AS tier_changed_at,
    min(said.event_at) AS first_at,
    max(said.event_at) AS last_at
FROM contact_touchpoints AS said
WHERE said.channel = 'loyalty'
GROUP BY said.profile_id, said.program
COMMENT 'Points and tier by person and loyalty scheme: the last balance that was told and what was earned or spent since, or all of it where none was told; the last tier that was told. Points that lapse count once a balance says so.';
