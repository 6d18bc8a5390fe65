#!/usr/bin/env bash
#
# run.sh
#		The pure files, a test program for them all, under AddressSanitizer.
#
set -euo pipefail
make -s -C test/unit check
