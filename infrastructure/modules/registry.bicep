// An Azure Machine Learning registry: what a model is promoted into. Its own storage and container registry are managed by Azure.
param location string
param tags object

@minLength(3)
@maxLength(33)
param name string

resource registry 'Microsoft.MachineLearningServices/registries@2025-12-01' = {
  name: name
  location: location
  tags: tags
  identity: { type: 'SystemAssigned' }
  properties: {
    publicNetworkAccess: 'Enabled'
    regionDetails: [
      {
        location: location
        acrDetails: [{ systemCreatedAcrAccount: { acrAccountSku: 'Premium' } }]
        storageAccountDetails: [
          {
            systemCreatedStorageAccount: {
              storageAccountType: 'Standard_LRS'
              storageAccountHnsEnabled: false
              allowBlobPublicAccess: false
            }
          }
        ]
      }
    ]
  }
}

output id string = registry.id
output name string = registry.name
