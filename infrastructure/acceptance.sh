#!/usr/bin/env bash
# The first real run: on a real subscription and a real Azure DevOps project, from the bootstrap to a production answer and the teardown. Every step is
# timed, and its result written to a file that can be attached to a bug report. It costs money while it runs, a few euros, and deletes what it made.
#
#   acceptance.sh --organization https://dev.azure.com/ORG --project NAME --repository NAME [--keep] [--from STEP] [--file FILE]
#
#   --keep      delete nothing at the end
#   --from      begin with this step, where an earlier attempt broke off: doctor bootstrap pushed infrastructure rights dev stage prod answer rollback teardown
#   --file      where the results go (default: acceptance-TIME.txt)
#
# Before it: az login as an owner of the subscription who administers the project, an agent that is online in the pool of the variables files, this
# repository pushed to main, and names in env-variables/ that are free (set postfix). Approvals are asked of you, in Azure DevOps, while it waits.
set -euo pipefail
umask 077
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ORGANIZATION='' PROJECT='' REPOSITORY='' KEEP=no FROM=doctor FILE=''
STEPS='doctor bootstrap pushed infrastructure rights dev stage prod answer rollback teardown'
# Entra's name of Azure DevOps, and how long one pipeline may take, approvals included, in seconds.
DEVOPS=499b84ac-1321-427f-aa17-267ca6975798
PATIENCE=${PATIENCE:-14400}
EVERY=${EVERY:-20}
say() { printf '%s\n' "$*"; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}
while [ $# -gt 0 ]; do
  case "$1" in
    --organization | --project | --repository | --from | --file)
      [ $# -gt 1 ] || die "$1 needs a value"
      case "$1" in
        --organization) ORGANIZATION=${2%/} ;;
        --project) PROJECT=$2 ;;
        --repository) REPOSITORY=$2 ;;
        --from) FROM=$2 ;;
        --file) FILE=$2 ;;
      esac
      shift 2
      ;;
    --keep) KEEP=yes && shift ;;
    --help | -h) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p;}' "$HERE/acceptance.sh" && exit 0 ;;
    *) die "found '$1'; allowed: --organization, --project, --repository, --keep, --from, --file" ;;
  esac
done
[ -n "$ORGANIZATION" ] && [ -n "$PROJECT" ] || die "--organization and --project are needed; acceptance.sh --help says more"
case " $STEPS " in *" $FROM "*) ;; *) die "--from: found '$FROM'; allowed: $STEPS" ;; esac
[ "$FROM" = doctor ] || [ -n "$FILE" ] || die "--from goes on with an earlier attempt: name its file, --file FILE"
REPOSITORY=${REPOSITORY:-$PROJECT}
FILE=${FILE:-acceptance-$(date -u +%Y%m%dT%H%M%SZ).txt}
PROJECT_PATH=$(python3 -c 'import sys, urllib.parse; print(urllib.parse.quote(sys.argv[1], safe=""))' "$PROJECT")
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
config() { python3 "$HERE/scripts/config.py" get "$1" "$2"; }
last() { tail -n 1 | tr -d '\r'; }
devops() {
  local method=$1 path=$2
  local words=(--method "$method" --url "$ORGANIZATION/$path" --resource "$DEVOPS" --output json)
  if [ $# -gt 2 ]; then words+=(--headers Content-Type=application/json --body "@$3"); fi
  az rest "${words[@]}"
}
pick() { python3 -c 'import json, sys; it = json.load(open(sys.argv[1], encoding="utf-8-sig")); print(eval(sys.argv[2], {"it": it, "words": sys.argv[3:]}))' "$@"; }

write() { printf '%s\n' "$*" >>"$FILE"; }

# step NAME COMMAND...: runs it, shows and keeps what it says, and writes how long it took
step() {
  local name=$1 begin code=0
  shift
  case " ${STEPS#*"$FROM"} $FROM " in *" $name "*) ;; *)
    write "skipped   $name (--from $FROM)"
    return 0 ;;
  esac
  say "── $name"
  write "── $name: $(date -u +%Y-%m-%dT%H:%M:%SZ)"
  begin=$(date +%s)
  # Not in a condition: there `set -e` would not hold inside.
  set +e
  (set -e; "$@") 2>&1 | tee -a "$FILE"
  code=${PIPESTATUS[0]}
  set -e
  if [ "$code" = 0 ]; then
    write "passed    $name in $(($(date +%s) - begin)) s"
    say "passed    $name in $(($(date +%s) - begin)) s"
    return 0
  fi
  write "FAILED    $name in $(($(date +%s) - begin)) s, exit code $code"
  say "FAILED    $name; $FILE has what it said; go on with --from $name, or end with --from teardown"
  exit 1
}

pipeline_id() {
  devops get "_apis/projects/$PROJECT_PATH?api-version=7.1" >/dev/null
  devops get "$PROJECT_PATH/_apis/pipelines?api-version=7.1" >"$WORK/pipelines.json"
  pick "$WORK/pipelines.json" 'next((one["id"] for one in it["value"] if one["name"] == words[0]), "")' "$1"
}

# run_of PIPELINE BODY: starts it, and prints the run's number
start() {
  local id
  id=$(pipeline_id "$1")
  [ -n "$id" ] || die "there is no pipeline $1; run bootstrap.sh"
  printf '%s' "$2" >"$WORK/body.json"
  devops post "$PROJECT_PATH/_apis/pipelines/$id/runs?api-version=7.1" "$WORK/body.json" >"$WORK/run.json"
  pick "$WORK/run.json" 'it["id"]'
}

# newest PIPELINE SINCE: the number of its newest run with a number above SINCE; nothing if there is none
newest() {
  devops get "$PROJECT_PATH/_apis/pipelines/$(pipeline_id "$1")/runs?api-version=7.1" >"$WORK/runs.json"
  pick "$WORK/runs.json" 'max([one["id"] for one in it["value"] if one["id"] > int(words[0])], default="")' "$2"
}

# finished PIPELINE RUN: waits for its end, with a limit, and fails with it
finished() {
  local name=$1 run=$2 id end state
  id=$(pipeline_id "$name")
  end=$(($(date +%s) + PATIENCE))
  while [ "$(date +%s)" -lt "$end" ]; do
    devops get "$PROJECT_PATH/_apis/pipelines/$id/runs/$run?api-version=7.1" >"$WORK/run.json"
    state=$(pick "$WORK/run.json" 'it["state"] + " " + str(it.get("result"))')
    case "$state" in
      'completed succeeded') say "$name: run $run succeeded" && return 0 ;;
      completed*) die "$name: run $run ended as ${state#completed }: $ORGANIZATION/$PROJECT_PATH/_build/results?buildId=$run" ;;
    esac
    sleep "$EVERY"
  done
  die "$name: run $run has not ended within $PATIENCE s; does an approval wait?"
}

# chained PIPELINE SINCE: a run that another one started
chained() {
  local end run=''
  end=$(($(date +%s) + PATIENCE))
  while [ -z "$run" ] && [ "$(date +%s)" -lt "$end" ]; do
    run=$(newest "$1" "$2")
    [ -n "$run" ] || sleep "$EVERY"
  done
  [ -n "$run" ] || die "$1 was not started within $PATIENCE s; is its trigger on main?"
  finished "$1" "$run"
}

doctor() { (cd "$HERE/.." && ./run doctor --organization "$ORGANIZATION" --project "$PROJECT") || say "(what is missing the bootstrap and the infrastructure bring)"; }
bootstrap() { "$HERE/identity/bootstrap.sh" --organization "$ORGANIZATION" --project "$PROJECT" --repository "$REPOSITORY"; }
infrastructure() {
  local one
  for one in dev stage prod; do
    [ -n "$(config "$one" pipeline_principal_id)" ] || die "config-infra-$one.yml has no pipeline_principal_id"
    finished bicep-ado-deploy-infra "$(start bicep-ado-deploy-infra "{\"resources\": {\"repositories\": {\"self\": {\"refName\": \"refs/heads/main\"}}}, \"templateParameters\": {\"environment\": \"$one\"}}")"
  done
}
pushed() {
  # The bootstrap has written the identities into files that the pipelines read.
  (cd "$HERE/.." && git diff --quiet HEAD -- infrastructure/env-variables) || die "commit and push infrastructure/env-variables, which the bootstrap has changed; then go on with --from pushed"
  # What Azure DevOps runs is what is pushed.
  if [ -n "$(git -C "$HERE" remote 2>/dev/null)" ] && git -C "$HERE" rev-parse --verify --quiet '@{upstream}' >/dev/null; then
    [ -z "$(git -C "$HERE" log --oneline '@{upstream}..HEAD' -- "$HERE/env-variables")" ] || die "push infrastructure/env-variables; then go on with --from pushed"
  fi
}
dev() {
  local run
  run=$(start dev-model-training '{"resources": {"repositories": {"self": {"refName": "refs/heads/main"}}}, "templateParameters": {"searchSeconds": "120"}}')
  printf '%s' "$run" >"$FILE.run"
  finished dev-model-training "$run"
}
chain() {
  local since one
  since=$(cat "$FILE.run" 2>/dev/null || echo 0)
  for one in "$@"; do chained "$one" "$since"; done
}
answer() {
  local group workspace endpoint uri
  group=$(config prod resource_group) workspace=$(config prod workspace) endpoint=$(config prod online_endpoint)
  uri=$(az ml online-endpoint show --name "$endpoint" --resource-group "$group" --workspace-name "$workspace" --query scoring_uri --output tsv | last)
  az ml online-endpoint invoke --name "$endpoint" --resource-group "$group" --workspace-name "$workspace" --request-file "$HERE/../data-science/data/request.json"
  say "production answers at $uri"
}
rollback() {
  say 'a first release has nothing to go back to; its pipeline has to end as failed, and production has to answer as before'
  local run id end state='' before after
  before=$(shares)
  run=$(start rollback-online-endpoint '{"resources": {"repositories": {"self": {"refName": "refs/heads/main"}}}}')
  id=$(pipeline_id rollback-online-endpoint)
  end=$(($(date +%s) + PATIENCE))
  while [ "$(date +%s)" -lt "$end" ]; do
    devops get "$PROJECT_PATH/_apis/pipelines/$id/runs/$run?api-version=7.1" >"$WORK/run.json"
    state=$(pick "$WORK/run.json" 'it["state"] + " " + str(it.get("result"))')
    case "$state" in completed*) break ;; esac
    sleep "$EVERY"
  done
  [ "$state" = 'completed failed' ] || die "the rollback of a first release ended as '$state'; wanted is 'completed failed', since there is nothing to go back to"
  after=$(shares)
  [ "$before" = "$after" ] || die "the refused rollback has changed the traffic from $before to $after"
  say "refused, as it has to be; traffic is $after"
}
shares() {
  az ml online-endpoint show --name "$(config prod online_endpoint)" --resource-group "$(config prod resource_group)" --workspace-name "$(config prod workspace)" --query traffic --output json | tr -d ' \n'
}
teardown() {
  if [ "$KEEP" = yes ]; then
    say 'kept, as you asked; it goes on costing money'
    return 0
  fi
  local one
  for one in dev stage prod; do
    # Deleted with its group alone, a workspace keeps its name taken for two weeks.
    az ml workspace delete --name "$(config "$one" workspace)" --resource-group "$(config "$one" resource_group)" --permanently-delete --yes --output none ||
      say "workspace $(config "$one" workspace) could not be deleted for good; its name may stay taken for two weeks"
    az group delete --name "$(config "$one" resource_group)" --yes --no-wait
    say "resource group $(config "$one" resource_group) is being deleted"
  done
  say 'applications, service connections and pipelines stay: they cost nothing, and docs/azure.md says how to delete them'
}

write "Lockgate acceptance, $(date -u +%Y-%m-%dT%H:%M:%SZ)"
write "commit $(git -C "$HERE" rev-parse HEAD 2>/dev/null || echo unknown), $(az version --query '"azure-cli"' --output tsv | last) azure-cli, $(az version --query 'extensions.ml' --output tsv | last) ml"
write "subscription $(az account show --query id --output tsv | last), $ORGANIZATION/$PROJECT"
step doctor doctor
step bootstrap bootstrap
step pushed pushed
step infrastructure infrastructure
step rights bootstrap
step dev dev
step stage chain stage-register-in-staging stage-model-testing stage-batch-endpoint stage-online-endpoint
step prod chain prod-register-in-production prod-online-endpoint prod-batch-endpoint
step answer answer
step rollback rollback
step teardown teardown
rm -f "$FILE.run"
say "all steps passed; $FILE has them with their times"
