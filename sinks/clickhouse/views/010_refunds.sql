-- A return is told by the till (is_return) and by the order system; by its return_id it is one.
CREATE OR REPLACE VIEW refunds AS
WITH (said.event_at, said.message_id) AS moment
SELECT
    argMin(said.profile_id, moment) AS profile_id,
    anyIf(said.return_id, said.return_id != '') AS return_id,
    argMinIf(said.order_id, moment, ifNull(said.order_id, '') != '') AS order_id,
    min(said.event_at) AS refunded_at,
    argMin(said.channel, moment) AS channel,
    anyIf(said.return_reason, said.return_reason != '') AS return_reason,
    max(said.refunded_micros) AS refunded_micros,
    argMinIf(said.currency, moment, said.currency IS NOT NULL) AS currency
FROM
(
    SELECT
        record.* REPLACE (
            if(owner.profile_id != '', owner.profile_id, record.profile_id) AS profile_id,
            if(owner.profile_hash != 0, owner.profile_hash, record.profile_hash) AS profile_hash
        )
    FROM order_records AS record
    LEFT ANY JOIN moved_owners AS owner ON owner.owner_hash = record.owner_hash
    WHERE record.is_refund
    ORDER BY record.is_late, record.event_at, record.place % 65536, record.place
    LIMIT 1 BY profile_hash, record.message_key
) AS said
GROUP BY if(said.return_id = '', (said.profile_hash, said.message_key), (0, sipHash64(said.return_id)))
COMMENT 'Each return or refund once (by return_id, else each touchpoint is one): goods brought back to a till, or Order Refunded. Its amount is what was paid back, else the revenue or the items it states; the highest where several tell of it. Without order_id it belongs to no order.';
