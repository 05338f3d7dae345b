-- In how many households of a segment demographics are known, and how many of those have children.
SELECT m.segment,
       COUNT(*) AS known,
       SUM(CASE WHEN d.kids_count <> '0' THEN 1 ELSE 0 END) AS with_kids
FROM demographics AS d
JOIN members AS m ON d.household_id = m.household_id
GROUP BY m.segment
ORDER BY m.segment
