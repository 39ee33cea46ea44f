// The workspace's key vault: rights by role, deleted secrets come back; in production nobody can purge them before their time.
param location string
param tags object

@minLength(3)
@maxLength(24)
param name string
param purgeProtection bool
param logsId string

resource vault 'Microsoft.KeyVault/vaults@2026-02-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: subscription().tenantId
    sku: { family: 'A', name: 'standard' }
    enableRbacAuthorization: true
    // checkov:skip=CKV_AZURE_189: Azure ML and self-hosted agents reach it over public addresses; who may read is decided by role alone.
    // checkov:skip=CKV_AZURE_110: set in production; a dev or stage that is torn down has to free its name.
    // checkov:skip=CKV_AZURE_42: set in production; elsewhere a vault that is torn down has to free its name.
    enableSoftDelete: true
    softDeleteRetentionInDays: purgeProtection ? 90 : 7
    // Azure takes true or nothing: once set, it can't be taken back.
    enablePurgeProtection: purgeProtection ? true : null
    // checkov:skip=CKV_AZURE_109: Azure ML and self-hosted agents reach it over public addresses; who may read is decided by role alone.
    networkAcls: { bypass: 'AzureServices', defaultAction: 'Allow' }
  }
}

resource vaultLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: vault
  name: 'to-log-analytics'
  properties: {
    workspaceId: logsId
    logs: [{ category: 'AuditEvent', enabled: true }]
  }
}

output id string = vault.id
output name string = vault.name
