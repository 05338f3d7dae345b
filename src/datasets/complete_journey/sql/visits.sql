-- All visits of the window.
SELECT COUNT(DISTINCT basket_id) AS visits
FROM lines
WHERE day >= $window_start
