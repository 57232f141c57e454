CREATE OR REPLACE VIEW order_touchpoints AS
SELECT
    touchpoint.* REPLACE (if(owner.profile_id != '', owner.profile_id, touchpoint.profile_id) AS profile_id)
FROM touchpoints AS touchpoint
LEFT ANY JOIN moved_owners AS owner ON owner.owner_hash = touchpoint.owner_hash
WHERE is_about_order
    AND touchpoint.place NOT IN (SELECT place FROM repeated_order_touchpoints)
COMMENT 'touchpoints_once that are about an order, a return or a refund.';
