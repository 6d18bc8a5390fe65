# shellcheck shell=bash
#
# sources.sh
#		The sources in another folder, for whatever must not work in this one.  Sourced, in the
#		top folder.
#
#	copy_sources FOLDER		the working tree, also what is not committed, without what was built
#
copy_sources()
{
	mkdir -p "$1"
	tar -cf - --exclude=./.git --exclude=./build --exclude=./results --exclude=./clerk_rls.so \
		--exclude='./src/*.o' --exclude='./src/*.bc' . | tar -xf - -C "$1"
}
