-- A return is told by the till (is_return) and by the order system; by its return_id it is one.
CREATE OR REPLACE VIEW refunds AS
WITH (said.event_at, said.message_id) AS place
SELECT
    argMin(said.profile_id, place) AS profile_id,
    anyIf(said.return_id, said.return_id != '') AS return_id,
    argMinIf(said.order_id, place, ifNull(said.order_id, '') != '') AS order_id,
    min(said.event_at) AS refunded_at,
    argMin(said.channel, place) AS channel,
    anyIf(said.return_reason, said.return_reason != '') AS return_reason,
    max(abs(coalesce(
        said.refund_micros,
        said.revenue_micros,
        if(empty(said.items), NULL, arraySum(item -> item.quantity * item.price_micros, said.items))
    ))) AS refunded_micros,
    argMinIf(said.currency, place, said.currency IS NOT NULL) AS currency
FROM order_touchpoints AS said
WHERE said.is_return OR said.event = 'Order Refunded'
GROUP BY if(said.return_id = '', (said.profile_id, said.message_id), ('', said.return_id))
COMMENT 'Each return or refund once (by return_id, else each touchpoint is one): goods brought back to a till, or Order Refunded. Its amount is what was paid back, else the revenue or the items it states; the highest where several tell of it. Without order_id it belongs to no order.';
