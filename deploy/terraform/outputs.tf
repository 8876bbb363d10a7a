# The port is that of the chart's values.yaml unless `values` says otherwise.
output "ledger" {
  description = "Where proxies reach the ledger, for proxies that the chart does not configure."
  value       = "${strcontains(var.name, "weir") ? var.name : "${var.name}-weir"}.${var.namespace}.svc.cluster.local:${try(var.values.sidecar.port, 8081)}"
}

output "release" {
  description = "Name, namespace and chart version of the release."
  value = {
    name      = helm_release.weir.name
    namespace = helm_release.weir.namespace
    version   = helm_release.weir.version
  }
}
