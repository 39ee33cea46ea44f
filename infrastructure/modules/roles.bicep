// Who may do what, each at the smallest scope that does. Contributor of the group is the bootstrap's to give; see docs/security.md.
param workspaceName string
param storageName string
param containerRegistryName string
param computePrincipalId string
param endpointPrincipalId string
param pipelinePrincipalId string
param dataScientistsGroupId string

var role = {
  storageBlobDataContributor: 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
  storageBlobDataReader: '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1'
  acrPull: '7f951dda-4ed3-4680-a7ca-43fe172d538d'
  dataScientist: 'f6c7c914-8db3-469d-8ca1-694a8f32e121'
}

resource workspace 'Microsoft.MachineLearningServices/workspaces@2025-12-01' existing = {
  name: workspaceName
}

resource storage 'Microsoft.Storage/storageAccounts@2025-08-01' existing = {
  name: storageName
}

resource registry 'Microsoft.ContainerRegistry/registries@2025-11-01' existing = {
  name: containerRegistryName
}

// Training reads data and writes models, pulls its image, and registers what it made.
resource computeData 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: storage
  name: guid(storage.id, computePrincipalId, role.storageBlobDataContributor)
  properties: {
    principalId: computePrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.storageBlobDataContributor)
  }
}

resource computeImages 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: registry
  name: guid(registry.id, computePrincipalId, role.acrPull)
  properties: {
    principalId: computePrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.acrPull)
  }
}

resource computeWorkspace 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: workspace
  name: guid(workspace.id, computePrincipalId, role.dataScientist)
  properties: {
    principalId: computePrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.dataScientist)
  }
}

// Endpoints read models and pull their image, and nothing else.
resource endpointData 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: storage
  name: guid(storage.id, endpointPrincipalId, role.storageBlobDataReader)
  properties: {
    principalId: endpointPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.storageBlobDataReader)
  }
}

resource endpointImages 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: registry
  name: guid(registry.id, endpointPrincipalId, role.acrPull)
  properties: {
    principalId: endpointPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.acrPull)
  }
}

// The pipelines upload data and code, and download models; the account has no keys, so that Contributor alone is not enough.
resource pipelineData 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(pipelinePrincipalId)) {
  scope: storage
  name: guid(storage.id, pipelinePrincipalId, role.storageBlobDataContributor)
  properties: {
    principalId: pipelinePrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.storageBlobDataContributor)
  }
}

resource scientistsWorkspace 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(dataScientistsGroupId)) {
  scope: workspace
  name: guid(workspace.id, dataScientistsGroupId, role.dataScientist)
  properties: {
    principalId: dataScientistsGroupId
    principalType: 'Group'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.dataScientist)
  }
}

resource scientistsData 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(dataScientistsGroupId)) {
  scope: storage
  name: guid(storage.id, dataScientistsGroupId, role.storageBlobDataReader)
  properties: {
    principalId: dataScientistsGroupId
    principalType: 'Group'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.storageBlobDataReader)
  }
}
