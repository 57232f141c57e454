-- Of a period too.
CREATE OR REPLACE VIEW kpi_funnel AS
SELECT
    toDate(started_at) AS day,
    count() AS sessions,
    countIf(reached >= 1) AS viewed,
    countIf(reached >= 2) AS added,
    countIf(reached >= 3) AS checked_out,
    countIf(reached >= 4) AS ordered,
    added / nullIf(viewed, 0) AS view_to_cart,
    checked_out / nullIf(added, 0) AS cart_to_checkout,
    ordered / nullIf(checked_out, 0) AS checkout_to_order,
    ordered / nullIf(viewed, 0) AS view_to_order
FROM funnel_sessions
GROUP BY day
COMMENT 'Sessions by day they began (UTC) and how far they came: product viewed, put into a cart, checkout, order, one after the other; rates are from step to step, and over all. By person: SELECT reached, count() FROM funnel_people(days = 30) GROUP BY reached.';
