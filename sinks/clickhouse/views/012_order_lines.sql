CREATE OR REPLACE VIEW order_lines AS
SELECT
    order_key,
    order_id,
    line_number,
    profile_id,
    ordered_at,
    channel,
    sold_in,
    is_cancelled,
    item.product_id AS product_id,
    item.name AS name,
    item.category AS category,
    item.quantity AS quantity,
    item.price_micros AS price_micros,
    item.quantity * item.price_micros AS amount_micros,
    currency
FROM placed_orders AS orders
ARRAY JOIN items AS item, arrayEnumerate(items) AS line_number
COMMENT 'Products of orders, a row each as it was told; amount is quantity times price, before refunds and whatever else the order charged or discounted.';
