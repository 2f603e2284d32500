#!/bin/sh
# Two nodes on this machine form a federation. Bob holds data that may not leave; alice sends him a run. He trusts one
# tool, by its digest, behind a filter: the result comes back as a commit, the data and what the tool prints do not.
#
#   sh examples/compute-to-data/bring-the-tool.sh [IMAGE]
#
# IMAGE has a shell and the usual programs, and is on this machine's Docker engine; default: busybox.
set -eu
image=${1:-busybox:latest}
cd "$(dirname "$0")/../.."
. examples/nodes.sh
tag=mao-example-$$
finish_more() { docker image rm --force "$tag/summary:1" "$tag/no-names:1" >/dev/null 2>&1 || true; }
open_work

# make_image NAME: an image that does what its script says, and nothing else; that is what is trusted by its digest.
make_image() {
  mkdir "$work/$1"
  cat >"$work/$1/tool.sh"
  printf 'FROM %s\nWORKDIR /usr/src/app\nCOPY tool.sh /tool.sh\nCMD ["sh", "/tool.sh"]\n' "$image" >"$work/$1/Dockerfile"
  if docker build --quiet --tag "$tag/$1:1" "$work/$1" >/dev/null 2>"$work/$1.log"; then return; fi
  cat "$work/$1.log" >&2
  echo "No tool could be built from the image $image; name one with a shell that is here: sh $0 IMAGE" >&2
  exit 1
}
make_image summary <<'SH'
echo "I read $(cat input/patients.csv)"
awk -F, 'NR > 1 { n++; s += $2 } END { print n, s / n }' input/patients.csv >data/summary.txt
SH
# Exit code 0: it may leave.
make_image no-names <<'SH'
! grep -rqE 'ann|ben' data
SH

start_node alice
# Bob takes the runs of members; nothing is taken unless a node says so.
start_node bob MAO_EXECUTION_REMOTE_ACCEPT=members MAO_EXECUTION_OFFER_LABELS='{"site":"zurich"}'
federation alice lab bob

# Alice registers two tools, where results go, and what is to be done; nobody's data are in any of it.
maoctl alice tool add summary --image "$tag/summary:1" >/dev/null
maoctl alice tool add no-names --image "$tag/no-names:1" >/dev/null
maoctl alice dataset add --name results >/dev/null

# Bob's data stay where they are: the others know that there is such a dataset, and no more.
mkdir "$work/clinic"
printf 'name,age\nann,41\nben,59\n' >"$work/clinic/patients.csv"
say bob dataset import "$work/clinic" --name patients --policy compute-only
has_patients() { maoctl alice dataset show patients; }
until_done "Alice's word of the patients" has_patients
cat >"$work/pipeline.json" <<'JSON'
{"name": "ages", "steps": [{"name": "ages", "tool": "summary", "input_dataset": "patients", "output_dataset": "results", "filter": {"tool": "no-names"}}]}
JSON
maoctl alice pipeline add -f "$work/pipeline.json" >/dev/null
has_offer() { maoctl alice --json offer list | grep -q zurich; }
until_done "Bob's offer" has_offer
say alice offer list --where 'dataset=patients && label.site=zurich'
has_pipeline() { maoctl bob pipeline show ages; }
until_done "Bob's word of the pipeline" has_pipeline

# Before bob has said that he trusts the tool, it reads nothing.
echo 'alice$ maoctl run submit ages --at-data'
maoctl alice run submit ages --at-data 2>&1 | sed "s/$tag/lab/g" || true
say bob dataset trust patients --tool summary --filter no-names
say alice run submit ages --at-data --wait

# The result is a commit like any other; the data are not here, and what the tool printed never came.
run=$(maoctl alice --json run list --pipeline ages --state succeeded | field '[0].id')
branch=$(maoctl alice --json run show "$run" | field '.steps[0].output.branch')
has_result() { maoctl alice dataset cat results summary.txt --at "$branch"; }
until_done "The result" has_result
say alice dataset cat results summary.txt --at "$branch"
say alice run logs "$run"
echo 'alice$ maoctl dataset cat patients patients.csv'
maoctl alice dataset cat patients patients.csv 2>&1 || true
