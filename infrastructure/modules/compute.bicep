// The training cluster: no node while nothing runs, no password, no public way in.
param location string
param workspaceName string

@minLength(2)
@maxLength(16)
param name string
param size string
param maxInstances int
param lowPriority bool
param identityId string

resource workspace 'Microsoft.MachineLearningServices/workspaces@2025-12-01' existing = {
  name: workspaceName
}

resource cluster 'Microsoft.MachineLearningServices/workspaces/computes@2025-12-01' = {
  parent: workspace
  name: name
  location: location
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${identityId}': {} } }
  properties: {
    computeType: 'AmlCompute'
    disableLocalAuth: true
    properties: {
      osType: 'Linux'
      vmSize: size
      vmPriority: lowPriority ? 'LowPriority' : 'Dedicated'
      scaleSettings: { minNodeCount: 0, maxNodeCount: maxInstances, nodeIdleTimeBeforeScaleDown: 'PT120S' }
      remoteLoginPortPublicAccess: 'Disabled'
    }
  }
}

output id string = cluster.id
