-- On how many visits a household bought each product type.
SELECT l.household_id, l.type_id, COUNT(DISTINCT l.basket_id) AS visits
FROM lines AS l
JOIN kept AS k ON l.household_id = k.household_id
WHERE l.day >= $window_start
GROUP BY l.household_id, l.type_id
ORDER BY l.household_id, l.type_id
