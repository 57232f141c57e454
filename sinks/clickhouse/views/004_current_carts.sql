-- Records may be on the wire twice; an episode_id has one row here, its highest revision.
CREATE OR REPLACE VIEW current_carts AS
SELECT
    record.episode_id AS episode_id,
    if(moved.profile_id = '', record.profile_id, moved.profile_id) AS profile_id,
    record.revision AS revision,
    record.status AS status,
    record.cart_id AS cart_id,
    record.opened_at AS opened_at,
    record.updated_at AS updated_at,
    record.items AS items,
    record.value_micros AS value_micros,
    record.currency AS currency,
    record.settled_by AS settled_by
FROM carts AS record
LEFT ANY JOIN moved_owners AS moved ON moved.owner_hash = sipHash64(record.profile_id)
WHERE record.place IN (SELECT argMax(place, revision) FROM carts GROUP BY episode_hash) AND record.status != 'retracted'
COMMENT 'Carts as they stand: highest revision, nothing retracted, today\'s profile_id.';
