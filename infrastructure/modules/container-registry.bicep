// Images of training and serving: no admin user, nothing anonymous.
param location string
param tags object

@minLength(5)
@maxLength(50)
param name string
param sku string

resource registry 'Microsoft.ContainerRegistry/registries@2025-11-01' = {
  name: name
  location: location
  tags: tags
  sku: { name: sku }
  properties: {
    adminUserEnabled: false
    // checkov:skip=CKV_AZURE_139: self-hosted agents and Azure ML reach it over public addresses; who may pull is decided by role alone.
    // checkov:skip=CKV_AZURE_163: scanning is Defender for Cloud's, which is switched on for a subscription and not for a registry.
    // checkov:skip=CKV_AZURE_166: quarantine would hide images from Azure ML, which builds and pulls them in one go.
    anonymousPullEnabled: false
    dataEndpointEnabled: false
    publicNetworkAccess: 'Enabled'
    networkRuleBypassOptions: 'AzureServices'
  }
}

output id string = registry.id
output name string = registry.name
