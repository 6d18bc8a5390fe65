--
-- rows.sql
--	What the benchmark times inside the server, in one session; run by bench.sh.
--

SET max_parallel_workers_per_gather = 0;
SET jit = off;
SELECT set_config('request.headers', json_build_object('authorization', 'Bearer ' || :'org_token')::text, false),
	set_config('request.jwt.claims', :'org_claims', false) \g /dev/null

CALL bench.measure_roles('filter 1,000,000 rows', :runs, 'SELECT count(*) FROM bench.notes',
	'{literal,clerk.uid(),(select auth.jwt()->>''sub''),(select clerk.uid())}', '{own_literal,own_clerk,own_jwt_wrapped,own_clerk_wrapped}');
CALL bench.measure_roles('filter 1,000,000 rows, not wrapped', greatest(:runs / 5, 2), 'SELECT count(*) FROM bench.notes',
	'{clerk.uid(),auth.jwt()->>''sub'',requesting_user_id(),a helper in PL/pgSQL}',
	'{own_clerk,own_jwt,own_requesting,own_helper}');
INSERT INTO bench.targets (work, variant, baseline, target) VALUES
	('filter 1,000,000 rows', 'clerk.uid()', 'literal', '<= 1.05'),
	('filter 1,000,000 rows', 'clerk.uid()', '(select auth.jwt()->>''sub'')', '<= 1.05'),
	('filter 1,000,000 rows', 'clerk.uid()', '(select clerk.uid())', ''),
	('filter 1,000,000 rows, not wrapped', 'auth.jwt()->>''sub''', 'clerk.uid()', '>= 40'),
	('filter 1,000,000 rows, not wrapped', 'requesting_user_id()', 'clerk.uid()', '>= 25'),
	('filter 1,000,000 rows, not wrapped', 'a helper in PL/pgSQL', 'clerk.uid()', '>= 25');

SET enable_material = off;
CALL bench.measure_roles('200 index scans of 1,000 rows', :runs, 'SELECT count(*) FROM generate_series(1, 200), bench.indexed',
	'{literal,clerk.uid()}', '{own_literal,own_clerk}');
RESET enable_material;
CALL bench.measure_roles('join of 3 tables with policies', :runs,
	'SELECT count(*) FROM bench.projects JOIN bench.indexed ON project_id = projects.id JOIN bench.comments ON note_id = indexed.id',
	'{literal,clerk.uid()}', '{own_literal,own_clerk}');
CALL bench.measure_roles('two policies, OR-ed', :runs, 'SELECT count(*) FROM bench.notes',
	'{literals,clerk.uid() and clerk.org_id()}', '{two_literals,two_functions}');
CALL bench.measure_roles('organization and permission', :runs, 'SELECT count(*) FROM bench.notes',
	'{literal,clerk.org_id() and clerk.has_permission()}', '{permitted_literal,permitted_clerk}');
CALL bench.measure_roles('own, or permission that is not there', :runs, 'SELECT count(*) FROM bench.notes',
	'{literal,clerk.has_permission() or clerk.uid()}', '{own_literal,not_permitted}');
CALL bench.measure_roles('insert 50,000 rows', :runs,
	format('INSERT INTO bench.written SELECT %L, i FROM generate_series(1, 50000) AS i', :'subject'),
	'{literal,clerk.uid()}', '{own_literal,own_clerk}');
CALL bench.measure('update 50,000 rows', :runs, '{literal,clerk.uid()}', '{own_literal,own_clerk}', array_fill(format(
	'DO $do$ BEGIN INSERT INTO bench.written SELECT %L, i FROM generate_series(1, 50000) AS i; UPDATE bench.written SET n = n + 1; END $do$',
	:'subject'), '{2}'));
SET max_parallel_workers_per_gather = 2;
CALL bench.measure_roles('parallel scan, 2 workers', :runs, 'SELECT count(*) FROM bench.notes', '{literal,clerk.uid()}', '{own_literal,own_clerk}');
SET max_parallel_workers_per_gather = 0;
INSERT INTO bench.targets (work, variant, baseline, target) VALUES
	('200 index scans of 1,000 rows', 'clerk.uid()', 'literal', '<= 1.05'),
	('join of 3 tables with policies', 'clerk.uid()', 'literal', '<= 1.05'),
	('two policies, OR-ed', 'clerk.uid() and clerk.org_id()', 'literals', '<= 1.10'),
	('organization and permission', 'clerk.org_id() and clerk.has_permission()', 'literal', '<= 1.10'),
	('own, or permission that is not there', 'clerk.has_permission() or clerk.uid()', 'literal', '<= 1.10'),
	('insert 50,000 rows', 'clerk.uid()', 'literal', '<= 1.05'),
	('update 50,000 rows', 'clerk.uid()', 'literal', '<= 1.05'),
	('parallel scan, 2 workers', 'clerk.uid()', 'literal', '<= 1.05');

-- the mapping, with ten rows and with ten million
INSERT INTO clerk.id_map SELECT 'user_mapped_' || i, i FROM generate_series(1, 9) AS i;
SELECT clerk.map_id(:'subject', :'mapped') \g /dev/null
CALL bench.measure_roles('mapped ids, 10 of them', :runs, 'SELECT count(*) FROM bench.notes',
	'{literal,clerk.mapped_id()}', '{mapped_literal,mapped_clerk}');
INSERT INTO clerk.id_map SELECT 'user_mapped_' || i, i FROM generate_series(10, :n_ids) AS i;
VACUUM ANALYZE clerk.id_map;
CALL bench.measure_roles('mapped ids, ' || :n_ids || ' of them', :runs, 'SELECT count(*) FROM bench.notes',
	'{literal,clerk.mapped_id()}', '{mapped_literal,mapped_clerk}');
INSERT INTO bench.targets (work, variant, baseline, target)
SELECT DISTINCT work, 'clerk.mapped_id()', 'literal', '<= 1.05' FROM bench.raw WHERE work LIKE 'mapped%';

-- new tokens, among many instances and revocations; the cache is full of other ones each time
CREATE PROCEDURE bench.measure_new_tokens(variant text, n int) LANGUAGE plpgsql AS $$
BEGIN
	CALL bench.measure('verify new tokens', n, ARRAY[variant], '{none}', '{SELECT count(clerk.verify(token)) FROM bench.tokens}');
END
$$;
CREATE PROCEDURE bench.add_many() LANGUAGE plpgsql AS $$
BEGIN
	PERFORM clerk.add_instance('https://clerk.bench.example/' || i) FROM generate_series(1, 99) AS i;
	INSERT INTO clerk.jwks (issuer, kid, jwk)
	SELECT instance.issuer, 'ins_' || i, jwk || jsonb_build_object('kid', 'ins_' || i)
	FROM clerk.instances AS instance, generate_series(1, 9) AS i, (SELECT jwk FROM clerk.jwks WHERE kid = 'ins_bench') AS key;
	INSERT INTO clerk.revocations (id) SELECT 'sess_revoked_' || i FROM generate_series(1, 1000000) AS i;
END
$$;
CREATE PROCEDURE bench.remove_many() LANGUAGE plpgsql AS $$
BEGIN
	DELETE FROM clerk.instances WHERE issuer <> 'https://clerk.bench.example';
	DELETE FROM clerk.jwks WHERE kid NOT IN ('ins_bench', 'ins_es256');
	TRUNCATE clerk.revocations;
	INSERT INTO clerk.revocations (id) VALUES ('sess_revoked_0');
END
$$;
INSERT INTO clerk.revocations (id) VALUES ('sess_revoked_0');
CALL bench.measure_new_tokens('with one of each', :runs);
CALL bench.add_many();
VACUUM ANALYZE clerk.revocations;
CALL bench.measure_new_tokens('with 100 instances of 10 keys, 1,000,000 revocations', :runs);
CALL bench.remove_many();
CALL bench.measure_new_tokens('with one of each', :runs);
CALL bench.add_many();
VACUUM ANALYZE clerk.revocations;
CALL bench.measure_new_tokens('with 100 instances of 10 keys, 1,000,000 revocations', :runs);
CALL bench.remove_many();
INSERT INTO bench.targets (work, variant, baseline, target) VALUES
	('verify new tokens', 'with 100 instances of 10 keys, 1,000,000 revocations', 'with one of each', '<= 1.1');
