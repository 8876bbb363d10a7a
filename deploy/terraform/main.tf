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

  # The password apart from the others, so that a plan hides it and nothing else.
  values = [
    yamlencode(local.values),
    yamlencode({ ledger = { redis = { password = var.redis_password } } }),
    yamlencode(var.values),
  ]

  atomic  = true
  wait    = true
  timeout = var.timeout_seconds
}
