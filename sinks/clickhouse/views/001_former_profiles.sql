-- The profile an identifier has by itself, wherever it is part of another today. Records written under the former
-- id belong to today's; ids without a row here are today's themselves.
CREATE OR REPLACE VIEW former_profiles AS
SELECT one.own_profile_id AS former_profile_id, one.profile_id AS profile_id
FROM moved_identifiers AS one
WHERE one.own_profile_id != one.profile_id
COMMENT 'Former profile_id to today\'s, one row a profile that has become part of another.';
