// Whom training and endpoints run as. Both outlive what uses them, so that their rights are given once.
param location string
param tags object
param computeName string
param endpointName string

resource compute 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: computeName
  location: location
  tags: tags
}

resource endpoint 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: endpointName
  location: location
  tags: tags
}

output computeId string = compute.id
output computePrincipalId string = compute.properties.principalId
output endpointId string = endpoint.id
output endpointPrincipalId string = endpoint.properties.principalId
