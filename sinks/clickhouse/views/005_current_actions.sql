-- Records may be on the wire twice; an action_id has one row here, its highest revision.
CREATE OR REPLACE VIEW current_actions AS
SELECT
    record.action_id AS action_id,
    if(moved.profile_id = '', record.profile_id, moved.profile_id) AS profile_id,
    record.revision AS revision,
    record.trigger AS trigger,
    record.step AS step,
    record.status AS status,
    record.due_at AS due_at,
    record.decided_at AS decided_at,
    record.expires_at AS expires_at,
    record.opened_at AS opened_at,
    record.opened_by AS opened_by,
    record.cart_id AS cart_id,
    record.items AS items,
    record.value_micros AS value_micros,
    record.currency AS currency,
    record.identifiers AS identifiers,
    record.channels AS channels,
    record.reason AS reason,
    record.caused_by AS caused_by,
    record.historical AS historical,
    record.variant AS variant,
    record.recovered_micros AS recovered_micros
FROM actions AS record
LEFT ANY JOIN moved_owners AS moved ON moved.owner_hash = sipHash64(record.profile_id)
WHERE record.place IN (SELECT argMax(place, revision) FROM actions GROUP BY action_hash)
COMMENT 'Actions as they stand: due, cancelled or recovered, with today\'s profile_id.';
