-- Of a period too.
-- A condition of a step takes in those of later ones, so that a step nobody tells of is passed with the next.
CREATE OR REPLACE VIEW funnel_sessions AS
WITH
    event = 'Order Completed' AND NOT is_return AS ordered,
    ordered OR event IN ('Checkout Started', 'Checkout Step Viewed', 'Payment Info Entered') AS checking_out,
    checking_out OR event IN ('Product Added', 'Cart Updated', 'Wishlist Product Added to Cart') AS adding
SELECT
    assumeNotNull(said.session_id) AS session_id,
    any(said.profile_id) AS profile_id,
    min(said.event_at) AS started_at,
    windowFunnel(31536000000)(
        toUInt64(toUnixTimestamp64Milli(said.event_at)), event = 'Product Viewed', adding, checking_out, ordered
    ) AS reached
FROM current_touchpoints AS said
WHERE isNotNull(said.session_id)
GROUP BY said.session_id
COMMENT 'How far each session came, in this order: 1 product viewed, 2 put into a cart, 3 checkout, 4 order; 0 without a product viewed. A later step counts as the ones before it, so an order needs no checkout that was told.';
