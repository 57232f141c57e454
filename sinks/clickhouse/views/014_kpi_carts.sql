-- An action says when its cart was opened, which no two carts of a person share.
CREATE OR REPLACE VIEW kpi_carts AS
SELECT
    toDate(cart.opened_at) AS day,
    cart.currency AS currency,
    count() AS carts,
    countIf(cart.status = 'open') AS open,
    countIf(cart.status = 'purchased') AS purchased,
    countIf(cart.status = 'emptied') AS emptied,
    countIf(cart.status = 'abandoned' OR action.is_decided) AS abandoned,
    countIf(action.is_recovered) AS recovered,
    abandoned / nullIf(carts - open, 0) AS abandonment_rate,
    recovered / nullIf(abandoned, 0) AS recovery_rate,
    sumIf(cart.value_micros, cart.status = 'abandoned') AS abandoned_value_micros,
    sum(action.recovered_micros) AS recovered_micros
FROM current_carts AS cart
LEFT JOIN
(
    SELECT
        profile_id,
        opened_at,
        true AS is_decided,
        countIf(status = 'recovered') > 0 AS is_recovered,
        max(ifNull(current_actions.recovered_micros, 0)) AS recovered_micros
    FROM current_actions
    WHERE trigger IN ('abandoned_cart', 'abandoned_checkout') AND status != 'cancelled'
    GROUP BY profile_id, opened_at
) AS action ON action.profile_id = cart.profile_id AND action.opened_at = cart.opened_at
GROUP BY day, currency
COMMENT 'Carts by day they were opened (UTC) and currency. Abandoned: left alone for as long as the settings say, whether bought later or not; abandonment rate is of carts that are not open any more. Recovered: abandoned and then bought within the recovery window; recovery rate is of abandoned ones. Recovered revenue is that of the orders, once a cart however many reminders it had; abandoned value is what still lies in carts that are abandoned today.';
