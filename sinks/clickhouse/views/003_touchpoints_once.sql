-- Whose a touchpoint is, the identifier says that it was stitched by: its person of today, after merges and splits.
-- Rows from before it was written have their profile_id alone to go by, which knows of merges.
CREATE OR REPLACE VIEW touchpoints_once AS
SELECT
    touchpoint.* REPLACE (if(owner.profile_id != '', owner.profile_id, touchpoint.profile_id) AS profile_id)
FROM touchpoints AS touchpoint
LEFT ANY JOIN moved_owners AS owner ON owner.owner_hash = touchpoint.owner_hash
WHERE touchpoint.place NOT IN (SELECT place FROM repeated_touchpoints)
COMMENT 'Each touchpoint of a person once, with today\'s profile_id; session_id as it was when it was stitched. Of a period, touchpoints_between(since, until) has the same sooner.';
