-- Whom somebody who moves has come to or left: each root that a record of theirs names.
CREATE OR REPLACE VIEW changed_profiles AS
SELECT profile_hash, root_hash AS owner_hash
FROM identity_places
WHERE is_move OR identifier_hash IN (SELECT identifier_hash FROM identity_places WHERE is_move)
COMMENT 'Hashes of profiles that somebody has come to or left, as they were then, and of the roots they had: moved_owners says who they are today.';
