-- citus.sql
--	What of Citus can be seen without it. The rest: test/t/021_citus.pl, and with it test/citus/run.sh.

\getenv srcdir PG_ABS_SRCDIR
\set load :srcdir '/vectors/load.sql'
\i :load
\set VERBOSITY terse
SET client_min_messages = warning;
SELECT FROM clerk.add_instance(:'issuer_a', clock_skew => '0');
SELECT FROM clerk.load_jwks(:'issuer_a', :'jwks_a');
SELECT clerk.map_id('user_alice', 'one');
RESET client_min_messages;

-- for the coordinator of a cluster
SELECT clerk.citus_setup();
SELECT * FROM clerk.citus_status();
SELECT * FROM clerk_internal.audit_citus();

-- a stand-in of Citus's catalog: a table that has been taken counts as one that cannot be read
SET clerk.token = :'alice';
SELECT clerk.uid(), clerk.mapped_text();
BEGIN;
SET LOCAL allow_system_table_mods = on;
CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass, partmethod "char", partkey text);
SELECT clerk.uid(), clerk.mapped_text();
SAVEPOINT a;
INSERT INTO pg_catalog.pg_dist_partition VALUES ('clerk.revocations', 'n');
-- Citus sends an invalidation, as this does
ALTER TABLE clerk.revocations ALTER COLUMN reason SET STATISTICS 100;
SELECT clerk.uid() IS NULL AS nobody;
SELECT finding, object, fix FROM clerk_internal.audit_citus();
ROLLBACK TO a;
SELECT clerk.uid(), clerk.mapped_text();
INSERT INTO pg_catalog.pg_dist_partition VALUES ('clerk.id_map', 'n');
ALTER TABLE clerk.id_map ALTER COLUMN source SET STATISTICS 100;
SELECT clerk.uid(), clerk.mapped_text();
ROLLBACK;
SELECT clerk.uid(), clerk.mapped_text();

-- a node that gets a table from the coordinator does not change it itself: the subscription goes nowhere
BEGIN;
SET LOCAL client_min_messages = error;
CREATE SUBSCRIPTION clerk_rls_1_1 CONNECTION 'dbname=nowhere' PUBLICATION clerk_rls_keys WITH (connect = false);
INSERT INTO pg_subscription_rel SELECT oid, 'clerk.id_map'::regclass, 'r', NULL FROM pg_subscription WHERE subname = 'clerk_rls_1_1';
SAVEPOINT a;
SELECT clerk.map_id('user_bob', 'two');
ROLLBACK TO a;
-- as an apply worker does
SET LOCAL session_replication_role = replica;
SELECT clerk.map_id('user_bob', 'two');
ROLLBACK;

-- what another node is told, and nothing that a session has set
SELECT clerk_internal.tell_citus();
SHOW request.headers;

RESET clerk.token;
SELECT clerk.unmap_id('user_alice');
SELECT clerk.drop_instance(:'issuer_a');
