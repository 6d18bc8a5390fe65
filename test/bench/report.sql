-- report.sql: the table that bench.sh prints, out of bench.raw and bench.targets.

INSERT INTO bench.targets
SELECT DISTINCT work, 'clerk.verify()', 'EVP_DigestVerify', '<= 2.0', false FROM bench.raw WHERE work LIKE 'verify%';

\pset footer off
WITH figures AS (
	SELECT work, variant, percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) AS median, min(ms) AS min, max(ms) AS max
	FROM bench.raw GROUP BY work, variant
)
SELECT t.work, t.variant || ' / ' || t.baseline AS ratio, round((v.median / b.median)::numeric, 2) AS measured, t.target,
	format('%s ms (%s-%s)', round(v.median::numeric, 1), round(v.min::numeric, 1), round(v.max::numeric, 1)) AS variant,
	format('%s ms (%s-%s)', round(b.median::numeric, 1), round(b.min::numeric, 1), round(b.max::numeric, 1)) AS baseline
FROM bench.targets AS t
JOIN figures AS v ON v.work = t.work AND v.variant = t.variant
JOIN figures AS b ON b.work = t.work AND b.variant = t.baseline
ORDER BY t.n;
