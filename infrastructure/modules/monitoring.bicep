// Logs and metrics: one Log Analytics workspace, and an Application Insights that writes into it.
param location string
param tags object
param logsName string
param insightsName string

@minValue(30)
param retentionDays int

resource logs 'Microsoft.OperationalInsights/workspaces@2025-07-01' = {
  name: logsName
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: retentionDays
    features: { disableLocalAuth: true }
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: insightsName
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: logs.id
    // Managed online endpoints send with the connection string, so that this one stays open to it.
    DisableLocalAuth: false
  }
}

output logsId string = logs.id
output insightsId string = insights.id
