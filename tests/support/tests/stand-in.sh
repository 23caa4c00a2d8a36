#!/bin/sh
# Stands in for mqhook: its configuration is the script to run.
. "$3"
