// Whom to tell, and of what: errors and latency of the online endpoint, once it exists.
param tags object
param namespace string
param suffix string
param emails array
param workspaceName string
param onlineEndpointName string
param maxLatencyMs int

resource workspace 'Microsoft.MachineLearningServices/workspaces@2025-12-01' existing = {
  name: workspaceName
}

resource endpoint 'Microsoft.MachineLearningServices/workspaces/onlineEndpoints@2025-12-01' existing = {
  parent: workspace
  name: onlineEndpointName
}

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: 'ag-${namespace}-${suffix}'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: take('lg-${namespace}', 12)
    enabled: true
    emailReceivers: [for (email, number) in emails: { name: 'person-${number}', emailAddress: email, useCommonAlertSchema: true }]
  }
}

resource errors 'Microsoft.Insights/metricAlerts@2018-03-01' = if (!empty(onlineEndpointName)) {
  name: 'alert-${namespace}-errors-${suffix}'
  location: 'global'
  tags: tags
  properties: {
    description: 'The online endpoint answers with 5xx.'
    severity: 1
    enabled: true
    scopes: [endpoint.id]
    evaluationFrequency: 'PT1M'
    windowSize: 'PT5M'
    autoMitigate: true
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          criterionType: 'StaticThresholdCriterion'
          name: 'errors'
          metricNamespace: 'Microsoft.MachineLearningServices/workspaces/onlineEndpoints'
          metricName: 'RequestsPerMinute'
          dimensions: [{ name: 'statusCodeClass', operator: 'Include', values: ['5xx'] }]
          operator: 'GreaterThan'
          threshold: 0
          timeAggregation: 'Average'
        }
      ]
    }
    actions: [{ actionGroupId: people.id }]
  }
}

resource latency 'Microsoft.Insights/metricAlerts@2018-03-01' = if (!empty(onlineEndpointName)) {
  name: 'alert-${namespace}-latency-${suffix}'
  location: 'global'
  tags: tags
  properties: {
    description: 'The online endpoint is slow: 95th percentile of the latency.'
    severity: 2
    enabled: true
    scopes: [endpoint.id]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    autoMitigate: true
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          criterionType: 'StaticThresholdCriterion'
          name: 'latency'
          metricNamespace: 'Microsoft.MachineLearningServices/workspaces/onlineEndpoints'
          metricName: 'RequestLatency_P95'
          operator: 'GreaterThan'
          threshold: maxLatencyMs
          timeAggregation: 'Average'
        }
      ]
    }
    actions: [{ actionGroupId: people.id }]
  }
}

output actionGroupId string = people.id
