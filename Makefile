# clerk_rls: see README.md.  "make" builds and "make install" installs, with what is there;
# "make demo", "make starter" and "make test" first install what is missing, and leave this PostgreSQL alone.

EXTENSION = clerk_rls
MODULE_big = $(EXTENSION)
EXTVERSION = $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" $(EXTENSION).control)
# Released versions and the steps between them are frozen files in sql/; "make freeze" adds one.
DATA = $(wildcard sql/*--*.sql)
SCRIPT = build/sql/$(EXTENSION)--$(EXTVERSION).sql
DATA_built = $(SCRIPT)
# A part uses only parts above it.
PARTS = $(patsubst %,sql/parts/%.sql, \
	schema \
	revoke \
	library \
	settings \
	instances \
	keys \
	jobs \
	refresh \
	postgrest \
	revocation \
	idmap \
	roles \
	track \
	shim \
	profiles \
	events \
	webhook \
	stats \
	changes \
	supabase \
	import \
	upkeep \
	citus \
	explain \
	protect \
	code \
	fixes \
	audit \
	doctor \
	report \
	admin \
	default_privileges \
	privileges)

# The hosted file has sql/hosted/NAME.sql in the place of sql/parts/NAME.sql where there is one, and
# these beside them: before the library and behind it, behind the revocations, and at the end.
HOSTED = hosted/$(EXTENSION).sql
hosted_part = $(or $(wildcard sql/hosted/$1.sql),sql/parts/$1.sql)
HOSTED_PARTS = $(foreach part,$(PARTS), \
	$(if $(filter library,$(notdir $(basename $(part)))),$(patsubst %,sql/hosted/%.sql,json rsa)) \
	$(call hosted_part,$(notdir $(basename $(part)))) \
	$(if $(filter library,$(notdir $(basename $(part)))),sql/hosted/reasons.sql) \
	$(if $(filter revocation,$(notdir $(basename $(part)))), \
		$(patsubst %,sql/hosted/%.sql,tokens caller identity grants mapping svix diagnose))) \
	sql/hosted/end.sql

# In the order in which they may call each other: a file calls only files above it.
OBJS = \
	src/core/status.o \
	src/core/base64url.o \
	src/core/json.o \
	src/core/jws.o \
	src/core/jwk.o \
	src/core/spki.o \
	src/core/jwa.o \
	src/core/claims.o \
	src/core/grants.o \
	src/core/has.o \
	src/core/svix.o \
	src/core/request.o \
	src/pg/report.o \
	src/pg/variable.o \
	src/pg/ticket.o \
	src/pg/config.o \
	src/pg/source.o \
	src/pg/citus.o \
	src/pg/table.o \
	src/pg/keys.o \
	src/pg/unknown_kid.o \
	src/pg/revocation.o \
	src/pg/stats.o \
	src/pg/session.o \
	src/pg/answer.o \
	src/pg/accessors.o \
	src/pg/authenticate.o \
	src/pg/idmap.o \
	src/pg/track.o \
	src/pg/webhook.o \
	src/pg/postgrest.o \
	src/pg/diagnose.o \
	src/pg/clerk_rls.o

PKG_CONFIG ?= pkg-config
CRYPTO_CFLAGS := $(shell $(PKG_CONFIG) --cflags libcrypto jansson 2>/dev/null)
PG_CPPFLAGS = -DCLERK_RLS_VERSION='"$(EXTVERSION)"' $(CRYPTO_CFLAGS)
SHLIB_LINK = $(shell $(PKG_CONFIG) --libs libcrypto jansson 2>/dev/null || echo -lcrypto -ljansson)

# ./sql is searched before test/sql, so no test may be called like a file in it.
REGRESS = $(patsubst test/sql/%.sql,%,$(sort $(wildcard test/sql/*.sql)))
REGRESS_OPTS = --inputdir=test --load-extension=$(EXTENSION)
ISOLATION = $(patsubst test/specs/%.spec,%,$(sort $(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test --outputdir=. --load-extension=$(EXTENSION)
PROVE_TESTS = test/t/*.pl
EXTRA_CLEAN = build results regression.diffs regression.out

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
has_header = $(shell echo '\#include <$1>' | $(CC) $2 -E -o /dev/null - 2>/dev/null && echo yes)
MISSING := \
	$(if $(wildcard $(PGXS)),,pgxs.mk:postgresql-server-dev-NN) \
	$(if $(wildcard $(shell $(PG_CONFIG) --includedir-server 2>/dev/null)/postgres.h),,postgres.h:postgresql-server-dev-NN) \
	$(if $(call has_header,openssl/evp.h,$(CRYPTO_CFLAGS)),,openssl/evp.h:libssl-dev) \
	$(if $(call has_header,jansson.h,$(CRYPTO_CFLAGS)),,jansson.h:libjansson-dev)

ifeq ($(strip $(MISSING)),)
include $(PGXS)
$(OBJS): $(wildcard src/*/*.h)
$(SCRIPT): sql/parts/head.sql $(PARTS)
	mkdir -p $(@D)
	cat $^ >$@
else
.PHONY: all install installcheck clean
all install installcheck:
	@echo 'clerk_rls cannot be built here. Missing, each with its Debian package (NN: the major version of PostgreSQL):' >&2
	@printf '  %s\n' $(subst :, in ,$(foreach m,$(MISSING),'$m')) >&2
	@echo 'PG_CONFIG=/path/to/pg_config chooses a PostgreSQL; this is $(PG_CONFIG).' >&2
	@false
clean:
	rm -rf src/*/*.o src/*/*.bc clerk_rls.so $(EXTRA_CLEAN)
endif

# one file for databases that take no extension
HOSTED_TEST = $(dir $(HOSTED))clerk_rls_test.sql
hosted: $(HOSTED) $(HOSTED_TEST)
$(HOSTED_TEST): clerk_rls_test/hosted/assemble.pl clerk_rls_test/sql/clerk_rls_test--1.0.0.sql clerk_rls_test/hosted/key.sql
	mkdir -p $(@D)
	@perl $^ >$@.new
	mv $@.new $@
$(HOSTED): sql/hosted/assemble.pl $(EXTENSION).control Makefile $(HOSTED_PARTS)
	mkdir -p $(@D)
	@perl sql/hosted/assemble.pl $(EXTVERSION) $(HOSTED_PARTS) >$@.new
	mv $@.new $@

.PHONY: hosted demo starter test bench fuzz stress print-parts print-hosted-parts freeze dist packages tapcheck

demo:
	bash test/demo/demo.sh

# the Next.js application of examples/nextjs, in your browser
starter:
	bash test/examples/run.sh --serve

# or some STEPS of it
test:
	bash test/run.sh $(STEPS)

bench:
	bash test/bench/bench.sh

# how it grows, five minutes
growth:
	bash test/bench/growth.sh

# each target for FUZZ_SECONDS, 600 unless told otherwise
fuzz:
	$(MAKE) -k -C test/fuzz check

# hours: two minutes for the first line, a quarter of an hour for the second, most for the last two
stress:
	bash test/stress/run.sh ubsan regress isolation
	bash test/stress/run.sh valgrind regress isolation
	bash test/stress/run.sh invalidate regress isolation
	CLERK_SEED=`date +%s` CLERK_STEPS=100000 CLERK_SEQUENCES=5000 bash test/run.sh --show tap
	bash test/stress/upgrade.sh
	bash test/matrix/run.sh
	bash test/fresh/run.sh --test all all
	bash test/fresh/run.sh --suite trixie --test all all

print-parts:
	@printf '%s\n' $(PARTS)

print-hosted-parts:
	@printf '%s\n' $(HOSTED_PARTS)

# when a version is cut: its script does not change any more
freeze: $(SCRIPT)
	cp $(SCRIPT) sql/

# a release, as PGXN takes it
dist:
	@mkdir -p build
	git archive --format=zip --prefix=$(EXTENSION)-$(EXTVERSION)/ -o build/$(EXTENSION)-$(EXTVERSION).zip HEAD

# as root: Debian packages, and the steps of the Dockerfile
packages: dist
	bash packaging/build-deb.sh
	bash packaging/check-dockerfile.sh

tapcheck:
	$(prove_installcheck)
