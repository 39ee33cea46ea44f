// The Azure Machine Learning workspace. Its data are reached by identity; the rights of its own identity Azure gives by itself.
param location string
param tags object

@minLength(3)
@maxLength(33)
param name string
param storageId string
param keyVaultId string
param containerRegistryId string
param insightsId string
param logsId string

resource workspace 'Microsoft.MachineLearningServices/workspaces@2025-12-01' = {
  name: name
  location: location
  tags: tags
  kind: 'Default'
  sku: { name: 'Basic', tier: 'Basic' }
  identity: { type: 'SystemAssigned' }
  properties: {
    friendlyName: name
    // checkov:skip=CKV_AZURE_243: a private endpoint needs a network that the team owns; docs/azure.md says what to add.
    storageAccount: storageId
    keyVault: keyVaultId
    containerRegistry: containerRegistryId
    applicationInsights: insightsId
    systemDatastoresAuthMode: 'identity'
    // checkov:skip=CKV_AZURE_144: self-hosted agents and data scientists reach it over public addresses; who may do what is decided by role alone.
    publicNetworkAccess: 'Enabled'
    v1LegacyMode: false
  }
}

resource workspaceLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: workspace
  name: 'to-log-analytics'
  properties: {
    workspaceId: logsId
    logs: [{ categoryGroup: 'allLogs', enabled: true }]
  }
}

output id string = workspace.id
output name string = workspace.name
