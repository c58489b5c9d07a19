#!/usr/bin/env bash
# The main job on the embedded store: prepare, train, evaluate, gate and promote, twice. The first run finds no champion;
# the second, with deeper trees, has to beat the one that the first promoted.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
HEADGATE_HOME=${HEADGATE_HOME:-$(mktemp -d -t headgate-demo.XXXXXX)}
export HEADGATE_HOME
project=$here/tumor-screening

step() { printf '\n\033[1m$ headgate %s\033[0m\n' "${*//$here/examples}"; headgate "$@"; }

step plan "$project"
step run "$project" --env local -P max_depth=2
step run "$project" --env local
verdict=$(headgate models history tumor-screening --json | python -c 'import json, sys; print(json.load(sys.stdin)["promotions"][-1]["verdict_id"])')
step gate explain "$verdict"
step models history tumor-screening
step lineage show tumor-screening@champion

printf '\nThe store is kept in %s; look around with: HEADGATE_HOME=%s headgate runs list\n' "$HEADGATE_HOME" "$HEADGATE_HOME"
