#!/usr/bin/env bash
# From a subscription and an Azure DevOps project to identities, rights and pipelines of dev, stage and prod, without a secret. Run by an owner of the
# subscription who administers the project; run again at any time, it changes only what is missing.
#
#   bootstrap.sh --organization https://dev.azure.com/ORG --project NAME [--repository NAME] [--environments "dev stage prod"]
#                [--approver ID]... [--part azure|devops|all] [--dry-run]
#
#   --repository     the repository of the pipelines (default: the project's name)
#   --approver       id of a person or group of Azure DevOps who approves infrastructure and production; several: repeat it (default: you)
#   --part           azure: groups, identities, connections, rights; devops: environments, pipelines, policy (default: all)
#   --dry-run        say what would be done, and change nothing
#
# Names come from ../env-variables/config-infra-*.yml. docs/azure.md says what comes before and after, docs/security.md what each right is for.
set -euo pipefail
umask 077
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
. ./lib.sh

ORGANIZATION='' PROJECT='' REPOSITORY='' ENVIRONMENTS='dev stage prod' PART=all DRY_RUN=no
APPROVERS=()
usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p;}' bootstrap.sh; }
while [ $# -gt 0 ]; do
  case "$1" in
    --organization | --project | --repository | --environments | --approver | --part)
      [ $# -gt 1 ] || die "$1 needs a value"
      case "$1" in
        --organization) ORGANIZATION=${2%/} ;;
        --project) PROJECT=$2 ;;
        --repository) REPOSITORY=$2 ;;
        --environments) ENVIRONMENTS=$2 ;;
        --approver) APPROVERS+=("$2") ;;
        --part) PART=$2 ;;
      esac
      shift 2
      ;;
    --dry-run) DRY_RUN=yes && shift ;;
    --help | -h) usage && exit 0 ;;
    *) die "found '$1'; allowed: --organization, --project, --repository, --environments, --approver, --part, --dry-run" ;;
  esac
done
[ -n "$ORGANIZATION" ] && [ -n "$PROJECT" ] || die "--organization and --project are needed; bootstrap.sh --help says more"
case "$ORGANIZATION" in https://*) ;; *) die "--organization: found '$ORGANIZATION'; allowed: its address, such as https://dev.azure.com/contoso" ;; esac
[[ $PROJECT =~ ^[A-Za-z0-9_.\ -]+$ ]] || die "--project: found '$PROJECT'; allowed: letters, digits, space, _ . -"
case "$PART" in azure | devops | all) ;; *) die "--part: found '$PART'; allowed: azure, devops, all" ;; esac
for one in $ENVIRONMENTS; do config "$one" resource_group >/dev/null; done
REPOSITORY=${REPOSITORY:-$PROJECT}
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

SUBSCRIPTION=$(az account show --query id --output tsv | last)
SUBSCRIPTION_NAME=$(az account show --query name --output tsv | last)
TENANT=$(az account show --query tenantId --output tsv | last)
say "subscription $SUBSCRIPTION_NAME ($SUBSCRIPTION), project $PROJECT of $ORGANIZATION, environments: $ENVIRONMENTS"
project_id

# A role of one's own is listed where it may be given, which is at the groups and not above them.
ROLE_SCOPE="/subscriptions/$SUBSCRIPTION/resourceGroups/$(config "$(printf '%s' "$ENVIRONMENTS" | awk '{print $NF}')" resource_group)"

# What may be done in a registry, and nothing else. A role of one's own, since the built-in ones may write too.
registry_role() {
  local name=$1 actions=$2 scopes=''
  local one
  for one in $ENVIRONMENTS; do scopes="$scopes${scopes:+, }\"/subscriptions/$SUBSCRIPTION/resourceGroups/$(config "$one" resource_group)\""; done
  python3 -c 'import json, sys; print(json.dumps({"Name": sys.argv[1], "Description": sys.argv[2], "Actions": json.loads(sys.argv[3]), "AssignableScopes": json.loads(sys.argv[4])}))' \
    "$name" "Lockgate: what of an Azure Machine Learning registry may be read" "$actions" "[$scopes]" >"$WORK/role.json"
  local found
  found=$(az role definition list --name "$name" --custom-role-only true --scope "$ROLE_SCOPE" --query "[].name | [0]" --output tsv | last)
  if [ -n "$found" ]; then
    there "role $name"
  else
    change "role $name" az role definition create --role-definition "$WORK/role.json" --output none
    # A role takes a while until it can be given.
    [ "$DRY_RUN" = yes ] || wait_for_role "$name"
  fi
}

wait_for_role() {
  local attempt
  for attempt in 1 2 3 4 5 6 7 8 9 10 11 12; do
    [ -z "$(az role definition list --name "$1" --custom-role-only true --scope "$ROLE_SCOPE" --query "[].name | [0]" --output tsv | last)" ] || return 0
    sleep $((attempt * 5))
  done
  die "role $1 was made and can't be seen yet; run this again in a few minutes"
}

REGISTRY_READER="Lockgate registry reader ($PROJECT)"

# made_principal APP: makes the service principal of an application, which may be known everywhere only after a while
made_principal() {
  local attempt found
  for attempt in 1 2 3 4 5 6; do
    if found=$(az ad sp create --id "$1" --query id --output tsv 2>"$WORK/said" | last) && [ -n "$found" ]; then
      printf '%s' "$found"
      return 0
    fi
    sleep $((attempt * 5))
  done
  die "the service principal of application $1 could not be made: $(tail -n 1 "$WORK/said")"
}

azure_part() {
  local environment=$1
  local group location connection app_name app principal scope
  group=$(config "$environment" resource_group)
  location=$(config "$environment" location)
  connection=$(config "$environment" service_connection)
  scope="/subscriptions/$SUBSCRIPTION/resourceGroups/$group"
  app_name="lockgate-$environment-$PROJECT"
  say
  say "── $environment"

  if [ "$(az group exists --name "$group" --output tsv | last)" = true ]; then
    there "resource group $group"
  else
    change "resource group $group in $location" az group create --name "$group" --location "$location" --tags managed_by=lockgate environment="$environment" --output none
  fi

  app=$(az ad app list --display-name "$app_name" --query "[?displayName=='$app_name'].appId | [0]" --output tsv | last)
  if [ -n "$app" ]; then
    there "application $app_name"
  elif [ "$DRY_RUN" = yes ]; then
    say "would     application $app_name"
    # What follows belongs to an application that is not there.
    say "would     its service principal, the service connection $connection with a federated credential, and its rights at $group"
    return 0
  else
    # What it made is what it says: a list may lack it for minutes.
    say "doing     application $app_name"
    app=$(az ad app create --display-name "$app_name" --sign-in-audience AzureADMyOrg --query appId --output tsv | last)
    [ -n "$app" ] || die "az ad app create said no appId for $app_name; run this again"
  fi
  principal=$(az ad sp list --spn "$app" --query "[].id | [0]" --output tsv | last)
  if [ -n "$principal" ]; then
    there "service principal of $app_name"
  elif [ "$DRY_RUN" = yes ]; then
    say "would     service principal of $app_name, the service connection $connection with a federated credential, and its rights at $group"
    return 0
  else
    say "doing     service principal of $app_name"
    principal=$(made_principal "$app")
  fi

  service_connection "$environment" "$connection" "$app"

  rights_of "$environment" "$principal" "$scope"
}

# The connection trusts no secret: Azure DevOps says who issues its tokens and for whom, and the application trusts exactly that.
service_connection() {
  local environment=$1 connection=$2 app=$3
  local found
  found=$(connection_id "$connection")
  if [ -n "$found" ]; then
    there "service connection $connection"
    cp "$WORK/connections.json" "$WORK/connection.json"
  else
    body "$WORK/body.json" name="$connection" type=azurerm url=https://management.azure.com/ description="Lockgate, $environment: no secret" \
      data.subscriptionId="$SUBSCRIPTION" data.subscriptionName="$SUBSCRIPTION_NAME" data.environment=AzureCloud data.scopeLevel=Subscription data.creationMode=Manual \
      authorization.scheme=WorkloadIdentityFederation authorization.parameters.tenantid="$TENANT" authorization.parameters.serviceprincipalid="$app" \
      isShared:=false isReady:=true \
      serviceEndpointProjectReferences:="[{\"name\": \"$connection\", \"projectReference\": {\"id\": \"$PROJECT_ID\", \"name\": \"$PROJECT\"}}]"
    change "service connection $connection, by workload identity federation" devops_to "$WORK/connection.json" post '_apis/serviceendpoint/endpoints?api-version=7.1' "$WORK/body.json"
    [ "$DRY_RUN" = no ] || return 0
  fi
  local scheme issuer subject
  scheme=$(pick "$WORK/connection.json" '(it["value"][0] if "value" in it else it)["authorization"]["scheme"]')
  if [ "$scheme" != WorkloadIdentityFederation ]; then
    say "note      $connection signs in by $scheme, not by federation; docs/security.md says how to convert it"
    return 0
  fi
  issuer=$(pick "$WORK/connection.json" '(it["value"][0] if "value" in it else it)["authorization"]["parameters"]["workloadIdentityFederationIssuer"]')
  subject=$(pick "$WORK/connection.json" '(it["value"][0] if "value" in it else it)["authorization"]["parameters"]["workloadIdentityFederationSubject"]')
  body "$WORK/credential.json" name=azure-devops issuer="$issuer" subject="$subject" description="$connection" audiences:='["api://AzureADTokenExchange"]'
  local trusted
  trusted=$(az ad app federated-credential list --id "$app" --query "[?name=='azure-devops'].[issuer, subject] | [0] | join(' ', @ || \`[]\`)" --output tsv | last)
  if [ "$trusted" = "$issuer $subject" ]; then
    there "federated credential for $connection"
  elif [ -n "$trusted" ]; then
    change "federated credential for $connection, which changed" az ad app federated-credential update --id "$app" --federated-credential-id azure-devops --parameters "$WORK/credential.json"
  else
    change "federated credential for $connection" az ad app federated-credential create --id "$app" --parameters "$WORK/credential.json" --output none
  fi
}

devops_to() {
  local file=$1
  shift
  devops "$@" >"$file"
}

# What an environment reads of another one's registry: dev and stage compare with the champion, in their pipelines and in their jobs.
registry_rights() {
  local scope principal identity one
  case " $ENVIRONMENTS " in *' prod '*) ;; *) return 0 ;; esac
  say
  say "── what dev and stage read of production's registry"
  registry_role "$REGISTRY_READER" '["Microsoft.MachineLearningServices/registries/read", "Microsoft.MachineLearningServices/registries/assets/read"]'
  scope="/subscriptions/$SUBSCRIPTION/resourceGroups/$(config prod resource_group)"
  for one in $ENVIRONMENTS; do
    [ "$one" != prod ] || continue
    principal=$(config "$one" pipeline_principal_id)
    if [ -n "$principal" ]; then give "$principal" "$REGISTRY_READER" "$scope" "reading production's registry, for the pipelines of $one"; fi
    identity=''
    if [ "$(az group exists --name "$(config "$one" resource_group)" --output tsv | last)" = true ]; then
      identity=$(az identity list --resource-group "$(config "$one" resource_group)" --query "[?contains(name, '-compute-')].principalId | [0]" --output tsv | last)
    fi
    if [ -n "$identity" ]; then
      give "$identity" "$REGISTRY_READER" "$scope" "reading production's registry, for the jobs of $one"
    else
      say "note      the jobs of $one can't read production's registry yet: run this once more after bicep-ado-deploy-infra has made $one"
    fi
  done
}

HAS_CHECK='next((one["id"] for one in it["value"] if one["type"]["name"] == {"approval": "Approval", "branch": "Task Check", "lock": "ExclusiveLock"}[words[0]]), None)'

# environment NAME [CHECK...]: an environment of Azure DevOps and its checks: approval, branch, lock
environment() {
  local name=$1 id check
  shift
  devops get "$PROJECT_PATH/_apis/distributedtask/environments?name=$name&api-version=7.1" >"$WORK/environments.json"
  id=$(pick "$WORK/environments.json" 'next((one["id"] for one in it["value"] if one["name"] == words[0]), None)' "$name")
  if [ -n "$id" ]; then
    there "environment $name"
  else
    body "$WORK/body.json" name="$name" description='Lockgate'
    change "environment $name" devops_to "$WORK/environment.json" post "$PROJECT_PATH/_apis/distributedtask/environments?api-version=7.1" "$WORK/body.json"
    if [ "$DRY_RUN" = yes ]; then
      for check in "$@"; do say "would     $check of environment $name"; done
      return 0
    fi
    id=$(pick "$WORK/environment.json" 'it["id"]')
  fi
  devops get "$PROJECT_PATH/_apis/pipelines/checks/configurations?resourceType=environment&resourceId=$id&\$expand=settings&api-version=7.1-preview.1" >"$WORK/checks.json"
  for check in "$@"; do
    if [ -n "$(pick "$WORK/checks.json" "$HAS_CHECK" "$check")" ]; then
      there "$check of environment $name"
      continue
    fi
    check_body "$check" "$id" "$name"
    change "$check of environment $name" devops_to "$WORK/check.json" post "$PROJECT_PATH/_apis/pipelines/checks/configurations?api-version=7.1-preview.1" "$WORK/body.json"
  done
  printf '%s %s\n' "$name" "$id" >>"$WORK/environment-ids"
}

check_body() {
  local resource=(resource.type=environment resource.id="$2" resource.name="$3")
  case "$1" in
    approval)
      body "$WORK/body.json" type.id=8C6F20A7-A545-4486-9777-F762FAFE0D4D type.name=Approval \
        settings.approvers:="$APPROVER_LIST" settings.executionOrder=1 settings.minRequiredApprovers:=1 settings.blockedApprovers:='[]' \
        settings.instructions='Look at the reports and figures of the runs before.' timeout:=43200 "${resource[@]}"
      ;;
    branch)
      body "$WORK/body.json" type.id=fe1de3ee-a436-41b4-bb20-f6eb4cb879a7 'type.name=Task Check' \
        settings.definitionRef.id=86b05a0c-73e6-4f7d-b3cf-e38f3b39a75b settings.definitionRef.name=evaluatebranchProtection settings.definitionRef.version=0.0.1 \
        'settings.displayName=Only main' settings.inputs.allowedBranches=refs/heads/main settings.inputs.ensureProtectionOfBranch=true \
        settings.inputs.allowUnknownStatusBranch=false timeout:=1440 "${resource[@]}"
      ;;
    lock)
      body "$WORK/body.json" type.id=2EF31AD6-BAA0-403A-8B45-2CBC9B4E5563 type.name=ExclusiveLock settings:='{}' timeout:=43200 "${resource[@]}"
      ;;
  esac
}

# pipeline NAME PATH: a pipeline by its name, which is what the others' resources call it by
pipeline() {
  local name=$1 path=$2 id
  id=$(pick "$WORK/pipelines.json" 'next((one["id"] for one in it["value"] if one["name"] == words[0]), None)' "$name")
  if [ -n "$id" ]; then
    there "pipeline $name"
  else
    body "$WORK/body.json" name="$name" folder='\lockgate' configuration.type=yaml configuration.path="$path" \
      configuration.repository.id="$REPOSITORY_ID" configuration.repository.type=azureReposGit
    change "pipeline $name" devops_to "$WORK/pipeline.json" post "$PROJECT_PATH/_apis/pipelines?api-version=7.1" "$WORK/body.json"
    [ "$DRY_RUN" = no ] || return 0
    id=$(pick "$WORK/pipeline.json" 'it["id"]')
  fi
  printf '%s %s\n' "$name" "$id" >>"$WORK/pipeline-ids"
}

# allow KIND ID WHAT PIPELINE...: lets pipelines use a pool, a connection or an environment, and no others
allow() {
  local kind=$1 id=$2 what=$3 names='' ids='' name number
  shift 3
  if [ -z "$id" ] || [ ! -s "$WORK/pipeline-ids" ]; then
    # Only a dry run comes here: the one or the others are not there yet.
    say "would     let pipelines use $what"
    return 0
  fi
  devops get "$PROJECT_PATH/_apis/pipelines/pipelinepermissions/$kind/$id?api-version=7.1-preview.1" >"$WORK/permissions.json"
  for name in "$@"; do
    number=$(sed -n "s/^$name //p" "$WORK/pipeline-ids")
    [ -n "$number" ] || continue
    if [ -z "$(pick "$WORK/permissions.json" 'next((one["id"] for one in it.get("pipelines") or [] if str(one["id"]) == words[0] and one["authorized"]), None)' "$number")" ]; then
      ids="$ids${ids:+, }{\"id\": $number, \"authorized\": true}"
      names="$names${names:+, }$name"
    fi
  done
  if [ -z "$ids" ]; then
    there "the right of the pipelines to use $what"
    return 0
  fi
  body "$WORK/body.json" pipelines:="[$ids]"
  change "right to use $what: $names" devops_to "$WORK/permission.json" patch "$PROJECT_PATH/_apis/pipelines/pipelinepermissions/$kind/$id?api-version=7.1-preview.1" "$WORK/body.json"
}

devops_part() {
  local one number pool queue me
  say
  say "── Azure DevOps"
  devops get "$PROJECT_PATH/_apis/git/repositories/$(quoted "$REPOSITORY")?api-version=7.1" >"$WORK/repository.json" || die "there is no repository $REPOSITORY in $PROJECT; name it: --repository"
  REPOSITORY_ID=$(pick "$WORK/repository.json" 'it["id"]')
  if [ ${#APPROVERS[@]} = 0 ]; then
    devops get '_apis/connectionData?api-version=7.1-preview' >"$WORK/me.json"
    me=$(pick "$WORK/me.json" 'it["authenticatedUser"]["id"]')
    APPROVERS=("$me")
    say "note      approvals ask you ($me); --approver names somebody else"
  fi
  APPROVER_LIST=$(python3 -c 'import json, sys; print(json.dumps([{"id": one} for one in sys.argv[1:]]))' "${APPROVERS[@]}")

  # The pool is of the organisation, with agents that somebody runs: it is looked at, not made.
  pool=$(config dev agent_pool)
  devops get "$PROJECT_PATH/_apis/distributedtask/queues?queueNames=$(quoted "$pool")&api-version=7.1" >"$WORK/queues.json"
  queue=$(pick "$WORK/queues.json" 'next((one["id"] for one in it["value"]), None)')
  [ -n "$queue" ] || die "there is no agent pool $pool that the project may use; make it under Project settings, Agent pools, and start an agent: docs/azure.md"
  number=$(pick "$WORK/queues.json" 'it["value"][0]["pool"]["id"]')
  devops get "_apis/distributedtask/pools/$number/agents?api-version=7.1" >"$WORK/agents.json"
  if [ "$(pick "$WORK/agents.json" 'sum(one["status"] == "online" and one["enabled"] for one in it["value"])')" = 0 ]; then
    say "note      pool $pool has no agent that is online; runs will wait: docs/azure.md says how to start one"
  else
    there "pool $pool with an agent that is online"
  fi

  : >"$WORK/environment-ids"
  for one in $ENVIRONMENTS; do
    case "$one" in
      dev) environment dev ;;
      stage) environment stage branch lock ;;
      *) environment "$one" approval branch lock ;;
    esac
    case "$one" in
      dev) environment infra-dev lock ;;
      *) environment "infra-$one" approval branch lock ;;
    esac
  done

  devops get "$PROJECT_PATH/_apis/pipelines?api-version=7.1" >"$WORK/pipelines.json"
  : >"$WORK/pipeline-ids"
  local names=()
  for one in ../../mlops-pipelines/*.yml; do
    pipeline "$(basename "$one" .yml)" "/mlops-pipelines/$(basename "$one")"
    names+=("$(basename "$one" .yml)")
  done
  pipeline bicep-ado-deploy-infra /infrastructure/pipelines/bicep-ado-deploy-infra.yml
  names+=(bicep-ado-deploy-infra)

  allow queue "$queue" "pool $pool" "${names[@]}"
  for one in $ENVIRONMENTS; do
    local connection users=() own=()
    connection=$(config "$one" service_connection)
    # Who names the connection in a file, by its own variables or as the source of a release.
    case "$one" in
      dev) own=(dev-model-training) users=(stage-register-in-staging) ;;
      stage) own=(stage-register-in-staging stage-model-testing stage-batch-endpoint stage-online-endpoint) users=(prod-register-in-production) ;;
      *) own=(prod-register-in-production prod-online-endpoint prod-batch-endpoint) users=(rollback-online-endpoint retire-online-deployment) ;;
    esac
    allow endpoint "$(connection_id "$connection")" "connection $connection" "${own[@]}" "${users[@]}" bicep-ado-deploy-infra
    allow environment "$(sed -n "s/^$one //p" "$WORK/environment-ids")" "environment $one" "${own[@]}"
    allow environment "$(sed -n "s/^infra-$one //p" "$WORK/environment-ids")" "environment infra-$one" bicep-ado-deploy-infra
  done

  # Azure Repos passes over pr: in YAML; this policy is what runs pr-validation.
  number=$(sed -n 's/^pr-validation //p' "$WORK/pipeline-ids")
  devops get "$PROJECT_PATH/_apis/policy/configurations?api-version=7.1" >"$WORK/policies.json"
  if [ -n "$number" ] && [ -n "$(pick "$WORK/policies.json" 'next((one["id"] for one in it["value"] if str(one["settings"].get("buildDefinitionId")) == words[0]), None)' "$number")" ]; then
    there 'policy: pull requests to main pass pr-validation'
  else
    body "$WORK/body.json" isEnabled:=true isBlocking:=true type.id=0609b952-1397-4640-95ec-e00a01b2c241 settings.buildDefinitionId:="${number:-0}" \
      settings.displayName=pr-validation settings.manualQueueOnly:=false settings.queueOnSourceUpdateOnly:=true settings.validDuration:=720 \
      settings.scope:="[{\"repositoryId\": \"$REPOSITORY_ID\", \"refName\": \"refs/heads/main\", \"matchKind\": \"Exact\"}]"
    change 'policy: pull requests to main pass pr-validation' devops_to "$WORK/policy.json" post "$PROJECT_PATH/_apis/policy/configurations?api-version=7.1" "$WORK/body.json"
  fi
}

if [ "$PART" != devops ]; then
  for one in Microsoft.MachineLearningServices Microsoft.Storage Microsoft.KeyVault Microsoft.ContainerRegistry Microsoft.ManagedIdentity Microsoft.Insights Microsoft.OperationalInsights; do
    if [ "$(az provider show --namespace "$one" --query registrationState --output tsv | last)" = Registered ]; then
      there "resource provider $one"
    else
      change "resource provider $one" az provider register --namespace "$one"
    fi
  done
  for one in $ENVIRONMENTS; do azure_part "$one"; done
  registry_rights
fi
if [ "$PART" != azure ]; then devops_part; fi
say
if [ "$DRY_RUN" = yes ]; then
  say "nothing was changed"
else
  say "done; next: commit config-infra-*.yml where it changed, then run bicep-ado-deploy-infra for $ENVIRONMENTS"
fi
