#!/bin/sh
# What DROP EXTENSION is for the hosted file.
exec psql -Xq -U "$CLERK_HOSTED_OWNER" -c 'SET client_min_messages = error' -c 'DROP SCHEMA clerk, clerk_internal CASCADE'
