-- What was on each visit of the window, whoever made it, each product of the catalogue once.
SELECT DISTINCT l.basket_id, c.position
FROM lines AS l
JOIN catalogue AS c ON l.product_id = c.product_id
WHERE l.day >= $window_start
ORDER BY l.basket_id, c.position
