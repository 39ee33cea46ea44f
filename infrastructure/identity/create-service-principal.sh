#!/usr/bin/env bash
# The old way, where workload identity federation can't be had: a service connection that signs in with a client secret. Prefer bootstrap.sh.
#
#   create-service-principal.sh ENVIRONMENT --organization https://dev.azure.com/ORG --project NAME [--dry-run]
#
# The secret goes from Azure into the service connection, through a file that only you can read and that is deleted; it is never printed. It ends
# after a year: run this again before, which gives the connection a new one.
set -euo pipefail
umask 077
cd "$(dirname "${BASH_SOURCE[0]}")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
. ./lib.sh

ENVIRONMENT='' ORGANIZATION='' PROJECT='' DRY_RUN=no
while [ $# -gt 0 ]; do
  case "$1" in
    --organization | --project)
      [ $# -gt 1 ] || die "$1 needs a value"
      if [ "$1" = --organization ]; then ORGANIZATION=${2%/}; else PROJECT=$2; fi
      shift 2
      ;;
    --dry-run) DRY_RUN=yes && shift ;;
    --help | -h) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p;}' create-service-principal.sh && exit 0 ;;
    -*) die "found '$1'; allowed: ENVIRONMENT, --organization, --project, --dry-run" ;;
    *)
      [ -z "$ENVIRONMENT" ] || die "found '$1' after '$ENVIRONMENT'; allowed: one environment"
      ENVIRONMENT=$1
      shift
      ;;
  esac
done
[ -n "$ENVIRONMENT" ] && [ -n "$ORGANIZATION" ] && [ -n "$PROJECT" ] || die "ENVIRONMENT, --organization and --project are needed; --help says more"
case "$ORGANIZATION" in https://*) ;; *) die "--organization: found '$ORGANIZATION'; allowed: its address, such as https://dev.azure.com/contoso" ;; esac
[[ $PROJECT =~ ^[A-Za-z0-9_.\ -]+$ ]] || die "--project: found '$PROJECT'; allowed: letters, digits, space, _ . -"
config "$ENVIRONMENT" resource_group >/dev/null
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

SUBSCRIPTION=$(az account show --query id --output tsv | last)
SUBSCRIPTION_NAME=$(az account show --query name --output tsv | last)
project_id
GROUP=$(config "$ENVIRONMENT" resource_group)
CONNECTION=$(config "$ENVIRONMENT" service_connection)
SCOPE="/subscriptions/$SUBSCRIPTION/resourceGroups/$GROUP"
[ "$(az group exists --name "$GROUP" --output tsv | last)" = true ] || die "there is no resource group $GROUP; bootstrap.sh --part azure makes it, or az group create"

if [ -n "$(connection_id "$CONNECTION")" ] && [ "$(pick "$WORK/connections.json" 'it["value"][0]["authorization"]["scheme"]')" = WorkloadIdentityFederation ]; then
  die "$CONNECTION signs in by federation already, which is better; delete it first if you mean it"
fi
if [ "$DRY_RUN" = yes ]; then
  say "would     service principal lockgate-$ENVIRONMENT-$PROJECT with a client secret, Contributor at $GROUP"
  say "would     service connection $CONNECTION with that secret"
  exit 0
fi
say "doing     service principal lockgate-$ENVIRONMENT-$PROJECT with a client secret, Contributor at $GROUP"
az ad sp create-for-rbac --name "lockgate-$ENVIRONMENT-$PROJECT" --role Contributor --scopes "$SCOPE" --years 1 --only-show-errors --output json >"$WORK/principal.json"
APP=$(pick "$WORK/principal.json" 'it["appId"]')
EXISTING=$(connection_id "$CONNECTION")
python3 - "$WORK/principal.json" "$CONNECTION" "$SUBSCRIPTION" "$SUBSCRIPTION_NAME" "$PROJECT_ID" "$PROJECT" >"$WORK/body.json" <<'PYTHON'
import json, sys
made = json.load(open(sys.argv[1], encoding="utf-8-sig"))
_, _, name, subscription, subscription_name, project_id, project = sys.argv
print(json.dumps({
    "name": name, "type": "azurerm", "url": "https://management.azure.com/", "description": "Lockgate, with a client secret", "isShared": False, "isReady": True,
    "data": {"subscriptionId": subscription, "subscriptionName": subscription_name, "environment": "AzureCloud", "scopeLevel": "Subscription", "creationMode": "Manual"},
    "authorization": {"scheme": "ServicePrincipal", "parameters": {
        "tenantid": made["tenant"], "serviceprincipalid": made["appId"], "authenticationType": "spnKey", "serviceprincipalkey": made["password"]}},
    "serviceEndpointProjectReferences": [{"name": name, "projectReference": {"id": project_id, "name": project}}],
}))
PYTHON
rm -f "$WORK/principal.json"
if [ -n "$EXISTING" ]; then
  say "doing     a new secret for service connection $CONNECTION"
  devops put "_apis/serviceendpoint/endpoints/$EXISTING?api-version=7.1" "$WORK/body.json" >/dev/null
else
  say "doing     service connection $CONNECTION with that secret"
  devops post '_apis/serviceendpoint/endpoints?api-version=7.1' "$WORK/body.json" >/dev/null
fi
rm -f "$WORK/body.json"
PRINCIPAL=$(az ad sp show --id "$APP" --query id --output tsv | last)
[ -n "$PRINCIPAL" ] || die "the service principal of $APP can't be seen yet; run this again in a few minutes"
rights_of "$ENVIRONMENT" "$PRINCIPAL" "$SCOPE"
say "done; application $APP signs in as $CONNECTION for a year. Its rights on data are given by bicep-ado-deploy-infra"
