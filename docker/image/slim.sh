#!/bin/sh
# slim.sh NODE_MODULES: takes away what a running node never reads.
set -eu

modules=$1
find "$modules" -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -name '*.ts' \
  -o -name '*.md' -o -name '*.markdown' -o -name 'tsconfig*.json' \) ! -iname 'license*' -exec rm -f {} +
# Bundles for browsers, which stand beside what Node loads.
find "$modules" -type f \( -name 'index.min.js' -o -name '*.umd.js' -o -name '*.umd.min.js' \) -exec rm -f {} +
# Compiled parts for other systems than this one.
system=linux-$(node -p process.arch)
find "$modules" -type d -path '*/prebuilds/*' -prune ! -name "$system*" -exec rm -rf {} +
