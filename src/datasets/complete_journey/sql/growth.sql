-- Visits on which a segment bought a type, in the last 28 days and in the 56 before.
SELECT m.segment,
       l.type_id,
       COUNT(DISTINCT CASE WHEN l.day >= $recent_start THEN l.basket_id END) AS recent,
       COUNT(DISTINCT CASE WHEN l.day < $recent_start THEN l.basket_id END) AS earlier
FROM lines AS l
JOIN members AS m ON l.household_id = m.household_id
WHERE l.day >= $window_start
GROUP BY m.segment, l.type_id
ORDER BY m.segment, l.type_id
