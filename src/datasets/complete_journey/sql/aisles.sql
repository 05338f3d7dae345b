-- How often each row of the taxonomy was bought: a type of several rows takes the aisle bought most.
SELECT taxonomy_row, COUNT(*) AS bought
FROM lines
WHERE day >= $window_start
GROUP BY taxonomy_row
ORDER BY taxonomy_row
