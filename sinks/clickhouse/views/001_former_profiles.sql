-- The profile an identifier has by itself, wherever it is part of another today. Records written under the former
-- id belong to today's; ids without a row here are today's themselves.
CREATE OR REPLACE VIEW former_profiles AS
SELECT
    own AS former_profile_id,
    argMax(now, at) AS profile_id
FROM
(
    SELECT
        identifier,
        max(_offset) AS at,
        argMax(own_profile_id, _offset) AS own,
        argMax(profile_id, _offset) AS now
    FROM identities
    GROUP BY identifier
)
WHERE own != now
GROUP BY own
COMMENT 'Former profile_id to today\'s, one row a profile that has become part of another.';
