-- The catalogue: products bought at least twice in the window. The price is the median unit price of the window, else
-- of the year. Unit prices outside 10 cents .. 500.00 are recording errors and do not count.
WITH priced AS (
    SELECT *,
           CASE WHEN quantity > 0 AND cents >= 10 * quantity AND cents <= 50000 * quantity
                THEN CAST(cents AS DOUBLE) / CAST(quantity AS DOUBLE) END AS unit_cents
    FROM lines
),
sold AS (
    SELECT product_id,
           COUNT(*) FILTER (WHERE day >= $window_start) AS bought,
           COALESCE(MEDIAN(unit_cents) FILTER (WHERE day >= $window_start), MEDIAN(unit_cents)) AS unit_cents,
           COALESCE(SUM(quantity) FILTER (WHERE day >= $recent_start), 0) AS units_28d,
           MAX(day) AS last_sold
    FROM priced
    GROUP BY product_id
)
SELECT s.product_id, i.taxonomy_row, i.private_label, i.package_size, s.unit_cents, s.units_28d, s.last_sold
FROM sold AS s
JOIN items AS i ON s.product_id = i.product_id
WHERE s.bought >= 2
ORDER BY s.product_id
