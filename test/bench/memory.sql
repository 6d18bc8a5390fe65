--
-- memory.sql
--	Does a backend grow?  Notes the growth of its private memory in kB, over all tokens after
--	the first 10,000, good ones and then as many that are refused.  Run by bench.sh.
--

SET jit = off;
CREATE UNLOGGED TABLE bench.many (token text);
\copy bench.many FROM pstdin
CREATE FUNCTION bench.private_kb() RETURNS int LANGUAGE sql AS $$
	SELECT substring(pg_read_file('/proc/' || pg_backend_pid() || '/status') FROM 'RssAnon:\s+(\d+)')::int
$$;
CREATE FUNCTION bench.verify_all(first int, is_good boolean) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	row record;
	n bigint := 0;
BEGIN
	FOR row IN SELECT token FROM bench.many OFFSET first LOOP
		PERFORM set_config('clerk.token', CASE WHEN is_good THEN row.token ELSE overlay(row.token PLACING 'AAAAAAAA' FROM length(row.token) - 60) END, true);
		n := n + (clerk.uid() IS NOT NULL)::int;
	END LOOP;
	RETURN n;
END
$$;

DO $$
DECLARE
	before int;
	n bigint;
BEGIN
	PERFORM count(clerk.verify(token)) FROM (SELECT token FROM bench.many LIMIT 10000) AS first;
	before := bench.private_kb();
	n := bench.verify_all(10000, true);
	INSERT INTO bench.memory VALUES (n || ' new tokens', bench.private_kb() - before, '< 1024');
	before := bench.private_kb();
	ASSERT bench.verify_all(10000, false) = 0;
	INSERT INTO bench.memory VALUES (n || ' tokens that are refused', bench.private_kb() - before, '< 1024');
END
$$;
