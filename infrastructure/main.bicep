// One environment of Lockgate, in its resource group. Names that people and pipelines use come as parameters, from env-variables/config-infra-*.yml;
// the others are made of namespace, environment and postfix: 21 characters at most for the storage account, 24 for the key vault.
// docs/security.md says who may do what, docs/azure.md what it costs.
targetScope = 'resourceGroup'

@description('Short name of the team or product, lower-case letters and digits.')
@minLength(2)
@maxLength(10)
param namespace string

@description('Makes names unique in all of Azure, lower-case letters and digits; may be empty.')
@maxLength(4)
param postfix string = ''

@description('Which environment this is.')
@allowed(['dev', 'stage', 'prod'])
param environmentName string

@description('Azure region.')
param location string = resourceGroup().location

@description('Name of the Azure Machine Learning workspace.')
@minLength(3)
@maxLength(33)
param workspaceName string

@description('Name of the Azure Machine Learning registry that this environment owns; empty: none.')
@maxLength(33)
param registryName string = ''

@description('Name of the training cluster.')
@minLength(2)
@maxLength(16)
param computeName string = 'cpu-cluster'

@description('VM size of the training cluster.')
param computeSize string = 'Standard_DS3_v2'

@description('Nodes that the training cluster may have at most; it has none while nothing runs.')
@minValue(1)
@maxValue(100)
param computeMaxInstances int = 4

@description('Object id of the identity behind the service connection; empty: no rights on data are given to it.')
param pipelinePrincipalId string = ''

@description('Object id of the group of data scientists; empty: none.')
param dataScientistsGroupId string = ''

@description('Name of the online endpoint to watch; empty until it exists.')
param onlineEndpointName string = ''

@description('Who is told of alerts and of the budget, separated by commas; empty: nobody, and no budget.')
param alertEmails string = ''

@description('Name of the budget.')
param budgetName string = 'budget-${namespace}-${environmentName}'

@description('Budget of the resource group per month, in the currency of the subscription.')
@minValue(1)
param monthlyBudget int = 200

@description('95th percentile of the latency that is still fine, in milliseconds.')
param maxLatencyMs int = 500

@description('First day of the month that the budget begins with; one that is there keeps its own.')
param budgetStart string = utcNow('yyyy-MM-01')

param tags object = {}

var isProd = environmentName == 'prod'
var suffix = empty(postfix) ? environmentName : '${environmentName}-${postfix}'
var allTags = union(tags, { managed_by: 'lockgate', environment: environmentName, namespace: namespace })
var emails = empty(alertEmails) ? [] : split(replace(alertEmails, ' ', ''), ',')
var names = {
  storage: 'st${namespace}${environmentName}${postfix}'
  keyVault: 'kv-${namespace}-${suffix}'
  containerRegistry: 'cr${namespace}${environmentName}${postfix}'
  logs: 'log-${namespace}-${suffix}'
  insights: 'appi-${namespace}-${suffix}'
  computeIdentity: 'id-${namespace}-compute-${suffix}'
  endpointIdentity: 'id-${namespace}-endpoint-${suffix}'
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  params: { location: location, tags: allTags, logsName: names.logs, insightsName: names.insights, retentionDays: isProd ? 90 : 30 }
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  params: { location: location, tags: allTags, name: names.storage, sku: isProd ? 'Standard_ZRS' : 'Standard_LRS', logsId: monitoring.outputs.logsId }
}

module keyVault 'modules/key-vault.bicep' = {
  name: 'key-vault'
  params: { location: location, tags: allTags, name: names.keyVault, purgeProtection: isProd, logsId: monitoring.outputs.logsId }
}

module containerRegistry 'modules/container-registry.bicep' = {
  name: 'container-registry'
  params: { location: location, tags: allTags, name: names.containerRegistry, sku: isProd ? 'Premium' : 'Standard' }
}

module identities 'modules/identities.bicep' = {
  name: 'identities'
  params: { location: location, tags: allTags, computeName: names.computeIdentity, endpointName: names.endpointIdentity }
}

module workspace 'modules/workspace.bicep' = {
  name: 'workspace'
  params: {
    location: location
    tags: allTags
    name: workspaceName
    storageId: storage.outputs.id
    keyVaultId: keyVault.outputs.id
    containerRegistryId: containerRegistry.outputs.id
    insightsId: monitoring.outputs.insightsId
    logsId: monitoring.outputs.logsId
  }
}

module compute 'modules/compute.bicep' = {
  name: 'compute'
  params: {
    location: location
    workspaceName: workspace.outputs.name
    name: computeName
    size: computeSize
    maxInstances: computeMaxInstances
    lowPriority: !isProd
    identityId: identities.outputs.computeId
  }
}

module registry 'modules/registry.bicep' = if (!empty(registryName)) {
  name: 'registry'
  params: { location: location, tags: allTags, name: registryName }
}

module roles 'modules/roles.bicep' = {
  name: 'roles'
  params: {
    workspaceName: workspace.outputs.name
    storageName: storage.outputs.name
    containerRegistryName: containerRegistry.outputs.name
    computePrincipalId: identities.outputs.computePrincipalId
    endpointPrincipalId: identities.outputs.endpointPrincipalId
    pipelinePrincipalId: pipelinePrincipalId
    dataScientistsGroupId: dataScientistsGroupId
  }
}

module registryRoles 'modules/registry-roles.bicep' = if (!empty(registryName)) {
  name: 'registry-roles'
  params: {
    registryName: registryName
    computePrincipalId: identities.outputs.computePrincipalId
    endpointPrincipalId: identities.outputs.endpointPrincipalId
  }
  dependsOn: [registry]
}

module alerts 'modules/alerts.bicep' = if (!empty(emails)) {
  name: 'alerts'
  params: {
    tags: allTags
    namespace: namespace
    suffix: suffix
    emails: emails
    workspaceName: workspace.outputs.name
    onlineEndpointName: onlineEndpointName
    maxLatencyMs: maxLatencyMs
  }
}

module budget 'modules/budget.bicep' = if (!empty(emails)) {
  name: 'budget'
  params: { name: budgetName, amount: monthlyBudget, start: budgetStart, emails: emails }
}

output workspaceName string = workspace.outputs.name
output workspaceId string = workspace.outputs.id
output registryName string = registryName
output storageName string = storage.outputs.name
output keyVaultName string = keyVault.outputs.name
output containerRegistryName string = containerRegistry.outputs.name
output computeIdentityId string = identities.outputs.computeId
output endpointIdentityName string = names.endpointIdentity
output endpointIdentityId string = identities.outputs.endpointId
output endpointPrincipalId string = identities.outputs.endpointPrincipalId
