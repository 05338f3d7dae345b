-- Households with enough purchase lines in the window to have a profile.
SELECT household_id
FROM lines
WHERE day >= $window_start
GROUP BY household_id
HAVING COUNT(*) >= $min_lines
ORDER BY household_id
