#!/bin/sh
# The state of a SLURM job in Snakemake's words. A job that SLURM has forgotten counts as failed: it
# runs again, which gives the same files.
case "$(squeue --noheader --states=all --format=%T --jobs="$1" 2> /dev/null)" in
    COMPLETED) echo success ;;
    PENDING | CONFIGURING | RUNNING | COMPLETING | SUSPENDED | REQUEUED) echo running ;;
    *) echo failed ;;
esac
