-- Of a period too.
CREATE OR REPLACE VIEW funnel_people AS
WITH
    event = 'Order Completed' AND NOT is_return AS ordered,
    ordered OR event IN ('Checkout Started', 'Checkout Step Viewed', 'Payment Info Entered') AS checking_out,
    checking_out OR event IN ('Product Added', 'Cart Updated', 'Wishlist Product Added to Cart') AS adding
SELECT
    said.profile_id AS profile_id,
    min(said.event_at) AS first_seen_at,
    windowFunnel({days:UInt64} * 86400000)(
        toUInt64(toUnixTimestamp64Milli(said.event_at)), event = 'Product Viewed', adding, checking_out, ordered
    ) AS reached
FROM touchpoints_once AS said
GROUP BY said.profile_id
COMMENT 'funnel_people(days = 30): how far each person came within so many days from a product viewed, across sessions and channels: 1 product viewed, 2 put into a cart, 3 checkout, 4 order; 0 without a product viewed. A later step counts as the ones before it.';
