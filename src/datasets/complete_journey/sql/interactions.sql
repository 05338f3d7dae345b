-- The window's purchase lines of households that have a segment; `catalogued` is false for a product not on sale any more.
SELECT l.household_id,
       m.segment,
       l.basket_id,
       l.product_id,
       l.day,
       l.quantity,
       l.cents,
       c.product_id IS NOT NULL AS catalogued
FROM lines AS l
JOIN members AS m ON l.household_id = m.household_id
LEFT JOIN catalogue AS c ON l.product_id = c.product_id
WHERE l.day >= $window_start
ORDER BY l.household_id, l.day, l.basket_id, l.product_id, l.quantity, l.cents
