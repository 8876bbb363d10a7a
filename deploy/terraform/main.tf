# Installs the chart. The caller configures the helm provider; see the example in deploy/README.md.
locals {
  redis = length(var.redis_urls) > 0

  values = {
    policy  = var.policy
    sidecar = { replicas = coalesce(var.replicas, local.redis ? 2 : 1) }
    ledger = {
      store = local.redis ? "redis" : "embedded"
      redis = {
        urls     = var.redis_urls
        cluster  = var.redis_cluster
        username = var.redis_username
      }
    }
  }
}

resource "helm_release" "weir" {
  name             = var.name
  namespace        = var.namespace
  create_namespace = true
  chart            = var.chart
  version          = var.chart_version

  values = [yamlencode(local.values), yamlencode(var.values)]

  # Apart from the others, so that a plan does not show it.
  set_sensitive = var.redis_password == "" ? [] : [{
    name  = "ledger.redis.password"
    value = replace(var.redis_password, ",", "\\,")
    type  = "string"
  }]

  atomic  = true
  wait    = true
  timeout = var.timeout_seconds
}
