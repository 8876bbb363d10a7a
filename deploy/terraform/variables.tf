variable "name" {
  description = "Name of the Helm release."
  type        = string
  default     = "weir"
}

variable "namespace" {
  description = "Namespace of the sidecar; created when it is missing."
  type        = string
  default     = "weir"
}

variable "chart" {
  description = "The chart: a folder, an archive, or oci://REGISTRY/weir."
  type        = string
  default     = "../helm/weir"
}

variable "chart_version" {
  description = "Version of a chart that comes from a registry."
  type        = string
  default     = null
}

variable "policy" {
  description = "The policy, as catalog/policy.schema.json describes it."
  type        = any

  validation {
    condition     = can(keys(var.policy.tiers)) && length(keys(var.policy.tiers)) > 0
    error_message = "policy.tiers: expected at least one tier."
  }
}

variable "redis_urls" {
  description = "redis://host:port or rediss://host:port, without credentials. Empty: the embedded store, for trials."
  type        = list(string)
  default     = []
}

variable "redis_cluster" {
  description = "Whether they are nodes of a Redis Cluster."
  type        = bool
  default     = false
}

variable "redis_username" {
  description = "An ACL user of Redis."
  type        = string
  default     = ""
}

variable "redis_password" {
  description = "Its password."
  type        = string
  default     = ""
  sensitive   = true
}

variable "replicas" {
  description = "How many sidecars; 1 with the embedded store."
  type        = number
  default     = null
}

variable "values" {
  description = "Further values of the chart, such as integrations; they win over those above."
  type        = any
  default     = {}
}

variable "timeout_seconds" {
  description = "How long to wait until everything is ready."
  type        = number
  default     = 300
}
