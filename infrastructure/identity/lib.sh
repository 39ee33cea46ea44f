# Sourced by bootstrap.sh and create-service-principal.sh: how they read, change and say things.
# Needs ORGANIZATION, PROJECT, DRY_RUN and WORK (a folder of this run's own, only for its owner).
# shellcheck shell=bash

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CONFIG=("python3" "$HERE/../scripts/config.py")
# Azure DevOps as a resource of Entra.
DEVOPS=499b84ac-1321-427f-aa17-267ca6975798

say() { printf '%s\n' "$*"; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}
# The last line: az prints progress before it.
last() { tail -n 1 | tr -d '\r'; }

# config ENVIRONMENT NAME: a value of the environment's variables
config() { "${CONFIG[@]}" get "$1" "$2"; }

# change WHAT COMMAND...: says what is done, and does it; with --dry-run only says it
change() {
  local what=$1
  shift
  if [ "$DRY_RUN" = yes ]; then
    say "would     $what"
    return 0
  fi
  say "doing     $what"
  "$@"
}
there() { say "is there  $*"; }

# devops METHOD PATH [FILE]: asks Azure DevOps; FILE holds the body
devops() {
  local method=$1 path=$2
  local words=(--method "$method" --url "$ORGANIZATION/$path" --resource "$DEVOPS" --output json)
  if [ $# -gt 2 ]; then words+=(--headers Content-Type=application/json --body "@$3"); fi
  az rest "${words[@]}"
}

# pick FILE EXPRESSION [WORD...]: a value of a JSON answer; EXPRESSION is Python over `it` and `words`, nothing is printed for None
pick() {
  python3 - "$@" <<'PYTHON'
import json, sys
it = json.load(open(sys.argv[1], encoding="utf-8-sig"))
# The expressions stand in these scripts; what comes from elsewhere is in `words`.
found = eval(sys.argv[2], {"it": it, "words": sys.argv[3:]})
if found is not None:
    print(found)
PYTHON
}

# body FILE KEY=VALUE...: writes JSON; a key such as a.b is nested, VALUE after := is JSON itself
body() {
  local file=$1
  shift
  python3 - "$@" >"$file" <<'PYTHON'
import json, sys
root = {}
for word in sys.argv[1:]:
    key, value = word.split("=", 1)
    value = json.loads(value) if key.endswith(":") else value
    *outer, last = key.rstrip(":").split(".")
    inner = root
    for part in outer:
        inner = inner.setdefault(part, {})
    inner[last] = value
print(json.dumps(root))
PYTHON
}

# quoted TEXT: as a part of an address
quoted() { python3 -c 'import sys, urllib.parse; print(urllib.parse.quote(sys.argv[1], safe=""))' "$1"; }

# project_id: the project, looked up once; sets PROJECT_ID and PROJECT_PATH
project_id() {
  PROJECT_PATH=$(quoted "$PROJECT")
  devops get "_apis/projects/$PROJECT_PATH?api-version=7.1" >"$WORK/project.json" || die "there is no project $PROJECT in $ORGANIZATION, or you may not see it"
  # shellcheck disable=SC2034  # the scripts that source this use it
  PROJECT_ID=$(pick "$WORK/project.json" 'it["id"]')
}

# connection_id NAME: the id of a service connection; nothing if there is none
connection_id() {
  devops get "$PROJECT_PATH/_apis/serviceendpoint/endpoints?endpointNames=$(quoted "$1")&api-version=7.1" >"$WORK/connections.json"
  pick "$WORK/connections.json" 'next((one["id"] for one in it["value"]), None)'
}

# Roles that the infrastructure's Bicep gives; its identity may give these and no others.
GIVEN_ROLES='ba92f5b4-2d11-453d-a403-e96b0029c9fe, 2a2b9908-6ea1-4ae2-8e65-a410df84e7d1, 7f951dda-4ed3-4680-a7ca-43fe172d538d, f6c7c914-8db3-469d-8ca1-694a8f32e121, 1823dd4f-9b8c-4ab6-ab4e-7397a3684615'
CONDITION="((!(ActionMatches{'Microsoft.Authorization/roleAssignments/write'})) OR (@Request[Microsoft.Authorization/roleAssignments:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {$GIVEN_ROLES})) AND ((!(ActionMatches{'Microsoft.Authorization/roleAssignments/delete'})) OR (@Resource[Microsoft.Authorization/roleAssignments:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {$GIVEN_ROLES}))"

# give WHOM ROLE SCOPE WHAT [MORE...]: a role, unless it is there
give() {
  local whom=$1 role=$2 scope=$3 what=$4
  shift 4
  local found
  local condition=''
  # An assignment without the condition that is wanted gives more than it should: it does not count.
  case " $* " in *' --condition '*) condition=" && condition=='$(printf '%s' "$CONDITION" | sed "s/'/\\\\'/g")'" ;; esac
  found=$(az role assignment list --assignee-object-id "$whom" --role "$role" --scope "$scope" --query "[?scope=='$scope'$condition].id | [0]" --output tsv | last)
  if [ -n "$found" ]; then
    there "$what"
  else
    if [ -n "$condition" ]; then
      # Azure knows one assignment of a role to somebody at a scope: another one has to go first.
      found=$(az role assignment list --assignee-object-id "$whom" --role "$role" --scope "$scope" --query "[?scope=='$scope'].id | [0]" --output tsv | last)
      [ -z "$found" ] || change "$role at ${scope##*/} with another condition goes" az role assignment delete --ids "$found" --output none
    fi
    change "$what" az role assignment create --assignee-object-id "$whom" --assignee-principal-type ServicePrincipal --role "$role" --scope "$scope" "$@" --output none
  fi
}

# Bicep gives this identity its rights on data; an object id is no secret.
write_principal() {
  if [ "$(config "$1" pipeline_principal_id)" = "$2" ]; then
    there "pipeline_principal_id in config-infra-$1.yml"
  else
    change "pipeline_principal_id in config-infra-$1.yml: commit that file" "${CONFIG[@]}" set "$1" pipeline_principal_id "$2"
  fi
}

# rights_of ENVIRONMENT PRINCIPAL SCOPE: what the pipelines of an environment may do, at its group and nowhere else
rights_of() {
  give "$2" Contributor "$3" "Contributor at ${3##*/}"
  give "$2" 'Role Based Access Control Administrator' "$3" "the right to give five roles of data and images at ${3##*/}" --condition "$CONDITION" --condition-version 2.0
  write_principal "$1" "$2"
}
