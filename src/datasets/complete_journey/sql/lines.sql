-- Purchase lines of merchandisable products in the year before as_of; nothing from on or after it.
-- Money is in whole cents, so that sums do not depend on the order of addition.
SELECT t.household_id,
       t.basket_id,
       t.product_id,
       i.taxonomy_row,
       i.type_id,
       i.private_label,
       t.quantity,
       CAST(t.sales_value * 100 + 0.5 AS BIGINT) AS cents,
       CAST(t.retail_disc * 100 + 0.5 AS BIGINT) AS discount_cents,
       t.transaction_timestamp AS bought_at,
       CAST(t.transaction_timestamp AS DATE) AS day
FROM transactions AS t
JOIN items AS i ON t.product_id = i.product_id
WHERE CAST(t.transaction_timestamp AS DATE) >= $year_start
  AND CAST(t.transaction_timestamp AS DATE) < $as_of
