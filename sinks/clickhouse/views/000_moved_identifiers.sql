-- Whoever never moves and follows nobody who does needs no looking up, and is not here.
CREATE OR REPLACE VIEW moved_identifiers AS
SELECT identifier_hash, own_hash, own_profile_id, root, profile_id, profile_hash
FROM resolved_identifiers FINAL
COMMENT 'Where each identifier belongs today that has moved, or follows one that has, by hash: its root, its profile, and the one it has by itself.';
