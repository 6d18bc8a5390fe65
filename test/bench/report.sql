-- report.sql: what bench.sh prints and draws, out of bench.raw and bench.targets. A ratio is the
-- median of those of the runs, in which what is compared ran one after the other.

CREATE VIEW bench.figures AS
	SELECT work, variant, percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) AS median, min(ms) AS min, max(ms) AS max
	FROM bench.raw GROUP BY work, variant;
CREATE VIEW bench.report AS
	SELECT t.n, t.peers, t.work, t.variant || ' / ' || t.baseline AS ratio,
		(SELECT round(percentile_cont(0.5) WITHIN GROUP (ORDER BY CASE WHEN t.inverse THEN rb.ms / rv.ms ELSE rv.ms / rb.ms END)::numeric, 2)
			FROM bench.raw AS rv JOIN bench.raw AS rb USING (work, run)
			WHERE rv.work = t.work AND rv.variant = t.variant AND rb.variant = t.baseline) AS measured, t.target,
		v.median AS variant_median, v.min AS variant_min, v.max AS variant_max,
		b.median AS baseline_median, b.min AS baseline_min, b.max AS baseline_max
	FROM bench.targets AS t
	JOIN bench.figures AS v ON v.work = t.work AND v.variant = t.variant
	JOIN bench.figures AS b ON b.work = t.work AND b.variant = t.baseline;

\pset footer off
SELECT work, ratio, measured, target,
	format('%s (%s-%s)', round(variant_median::numeric, 2), round(variant_min::numeric, 2), round(variant_max::numeric, 2)) AS "ms (min-max)",
	format('%s (%s-%s)', round(baseline_median::numeric, 2), round(baseline_min::numeric, 2), round(baseline_max::numeric, 2)) AS "baseline"
FROM bench.report ORDER BY n;
CREATE VIEW bench.stage_figures AS
	SELECT variant AS stage, median * 1e3 AS us, min * 1e3 AS min, max * 1e3 AS max
	FROM bench.figures WHERE work = 'a new token, RS256, in one process'
	ORDER BY variant <> 'EVP_DigestVerify', variant <> 'a new token', median DESC;
SELECT stage, round(us::numeric, 2) AS microseconds, format('%s-%s', round(min::numeric, 2), round(max::numeric, 2)) AS "min-max"
FROM bench.stage_figures;
SELECT what, kb || ' kB more' AS memory, target || ' kB' AS target FROM bench.memory;
