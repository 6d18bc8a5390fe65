--
-- cold.sql
--	Prints the milliseconds of the first :question of a connection that was just made; run by
--	bench.sh.  What measures is warm by then, as it has measured something else before.
--

CREATE FUNCTION pg_temp.first_ms(question text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	statement text;
	start timestamptz;
	took interval;
	answer text;
BEGIN
	FOREACH statement IN ARRAY ARRAY['SELECT 1', question] LOOP
		start := clock_timestamp();
		EXECUTE statement INTO answer;
		took := clock_timestamp() - start;
		ASSERT answer IS NOT NULL, statement;
	END LOOP;
	RETURN extract(epoch FROM took) * 1000;
END
$$;
SELECT pg_temp.first_ms(:'question');
