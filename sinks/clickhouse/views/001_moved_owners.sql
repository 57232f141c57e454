CREATE OR REPLACE VIEW moved_owners AS
SELECT owner_hash, one.profile_id AS profile_id, one.profile_hash AS profile_hash
FROM moved_identifiers AS one
ARRAY JOIN [one.identifier_hash, one.own_hash] AS owner_hash
COMMENT 'touchpoints.owner_hash to today\'s profile_id and its hash, for those that may have another one written; also the hash of a former profile_id.';
