-- The most frequent answer of a segment's households to each question; of equals the first in the alphabet.
WITH answers AS (
    SELECT m.segment, 'age' AS question, d.age AS answer
    FROM demographics AS d JOIN members AS m ON d.household_id = m.household_id
    UNION ALL
    SELECT m.segment, 'household', d.household_comp
    FROM demographics AS d JOIN members AS m ON d.household_id = m.household_id
    UNION ALL
    SELECT m.segment, 'income', d.income
    FROM demographics AS d JOIN members AS m ON d.household_id = m.household_id
),
counted AS (
    SELECT segment, question, answer, COUNT(*) AS households
    FROM answers
    WHERE answer IS NOT NULL
    GROUP BY segment, question, answer
),
ranked AS (
    SELECT segment, question, answer,
           ROW_NUMBER() OVER (PARTITION BY segment, question ORDER BY households DESC, answer) AS place
    FROM counted
)
SELECT segment, question, answer
FROM ranked
WHERE place = 1
ORDER BY segment, question
