# shellcheck shell=bash
#
# regress.sh
#		pg_regress and pg_isolation_regress, whose output becomes lines of TAP.  Sourced, in the top
#		folder.
#
#	regress_installcheck VARIABLE...	make installcheck with these; shows what differs
#
regress_installcheck()
{
	local status=0

	# TAP already since PostgreSQL 16
	make -s installcheck PG_CONFIG="$PG_CONFIG" "$@" 2>&1 | sed -E \
		's/^test ([^ ]+) +\.\.\. ok .*/ok - \1/; s/^(test|failed) ([^ ]+).*FAILED.*/not ok - \2/' || status=1
	[ $status = 0 ] || cat regression.diffs
	return $status
}
