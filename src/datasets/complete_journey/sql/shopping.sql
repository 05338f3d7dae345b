-- How each segment shops: a visit is a basket; evening begins at 17:00; days of the week count from Sunday = 0.
WITH visits AS (
    SELECT m.segment,
           l.basket_id,
           SUM(l.cents) AS cents,
           SUM(CASE WHEN l.private_label THEN l.cents ELSE 0 END) AS private_cents,
           SUM(l.discount_cents) AS discount_cents,
           MIN(l.bought_at) AS bought_at
    FROM lines AS l
    JOIN members AS m ON l.household_id = m.household_id
    WHERE l.day >= $window_start
    GROUP BY m.segment, l.basket_id
)
SELECT segment,
       COUNT(*) AS visits,
       SUM(cents) AS cents,
       SUM(private_cents) AS private_cents,
       SUM(discount_cents) AS discount_cents,
       SUM(CASE WHEN date_part('hour', bought_at) >= 17 THEN 1 ELSE 0 END) AS evening_visits,
       SUM(CASE WHEN date_part('dow', bought_at) IN (0, 6) THEN 1 ELSE 0 END) AS weekend_visits
FROM visits
GROUP BY segment
ORDER BY segment
