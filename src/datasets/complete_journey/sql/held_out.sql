-- What the segments' households bought from as_of on and before until: what a replay is judged by, and nothing else reads it.
SELECT t.household_id,
       m.segment,
       t.basket_id,
       t.product_id,
       CAST(t.transaction_timestamp AS DATE) AS day,
       t.quantity,
       CAST(t.sales_value * 100 + 0.5 AS BIGINT) AS cents
FROM transactions AS t
JOIN members AS m ON t.household_id = m.household_id
WHERE CAST(t.transaction_timestamp AS DATE) >= $as_of
  AND CAST(t.transaction_timestamp AS DATE) < $until
  AND t.quantity > 0
ORDER BY t.household_id, day, t.basket_id, t.product_id, t.quantity, cents
