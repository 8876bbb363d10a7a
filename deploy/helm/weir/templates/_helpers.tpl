{{- define "weir.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimAll "-_." -}}
{{- end -}}

{{- define "weir.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "weir.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "weir.selector" -}}
app.kubernetes.io/name: {{ include "weir.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "weir.labels" -}}
{{ include "weir.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* An image reference: digest before tag. Takes (dict "image" IMAGE "version" TAG). */}}
{{- define "weir.image" -}}
{{- if .image.digest -}}
{{- printf "%s@%s" .image.repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" .image.repository (default .version .image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "weir.podSecurity" -}}
runAsNonRoot: true
runAsUser: 1000
runAsGroup: 1000
fsGroup: 1000
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "weir.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/*
Wait before SIGTERM: meanwhile the Service stops sending new connections here. Older Kubernetes has no such wait without a
program in the image. Takes (dict "root" $ "seconds" N).
*/}}
{{- define "weir.preStop" -}}
{{- if semverCompare ">=1.30-0" .root.Capabilities.KubeVersion.Version -}}
lifecycle:
  preStop:
    sleep: { seconds: {{ .seconds }} }
{{- end -}}
{{- end -}}

{{/* The sidecar's host name for other namespaces. */}}
{{- define "weir.host" -}}
{{- printf "%s.%s.svc.%s" (include "weir.fullname" .) .Release.Namespace .Values.clusterDomain -}}
{{- end -}}

{{- define "weir.redisSecret" -}}
{{- default (printf "%s-redis" (include "weir.fullname" .)) .Values.ledger.redis.existingSecret -}}
{{- end -}}

{{/* Redis URLs with their credentials, as the sidecar reads them. A space is %20 there, not +. */}}
{{- define "weir.redisUrls" -}}
{{- $redis := .Values.ledger.redis -}}
{{- $login := "" -}}
{{- if or $redis.username $redis.password -}}
{{- $login = printf "%s:%s@" ($redis.username | urlquery | replace "+" "%20") ($redis.password | urlquery | replace "+" "%20") -}}
{{- end -}}
{{- $urls := list -}}
{{- range $redis.urls -}}
{{- $urls = append $urls (. | replace "://" (printf "://%s" $login)) -}}
{{- end -}}
{{- join "," $urls -}}
{{- end -}}

{{/* The labels of Istio's gateway. */}}
{{- define "weir.istioSelector" -}}
{{- default (dict "istio" "ingressgateway") .Values.integrations.istio.selector | toYaml -}}
{{- end -}}

{{/* What an object of Kong's is annotated with. */}}
{{- define "weir.kongPlugins" -}}
{{- $name := include "weir.fullname" . -}}
{{- eq .Values.integrations.kong.way "plugin" | ternary (printf "%s, %s-mark, %s-guard" $name $name $name) $name -}}
{{- end -}}

{{/* Refuses values that cannot work, in words. */}}
{{- define "weir.check" -}}
{{- $name := include "weir.fullname" . -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) -}}
{{- fail (printf "the name of what is installed: %s: expected lower-case letters, digits and dashes, a letter first, as Kubernetes wants of a Service: set fullnameOverride" $name) -}}
{{- end -}}
{{- if has $name (list "true" "false" "null" "yes" "no" "on" "off" "y" "n") -}}
{{- fail (printf "the name of what is installed: %s: YAML reads it as no text: expected another: set fullnameOverride" $name) -}}
{{- end -}}
{{- if regexMatch "[\\x{7f}-\\x{84}\\x{86}-\\x{9f}\\x{fffe}\\x{ffff}]" (toJson .Values.policy) -}}
{{- fail "policy: a control character (U+007F to U+009F) or a noncharacter is in it: expected none, as YAML has no place for them" -}}
{{- end -}}
{{- include "weir.checkEvents" . -}}
{{- range $place, $labels := dict "sidecar" (.Values.sidecar.podLabels | default dict) "integrations.envoy" (.Values.integrations.envoy.podLabels | default dict) -}}
{{- range $label := list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" "sidecar.istio.io/inject" -}}
{{- if hasKey $labels $label -}}
{{- fail (printf "%s.podLabels: %s: the chart sets it: expected another label" $place $label) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not (dig "tiers" dict .Values.policy) -}}
{{- fail "policy.tiers: missing: expected at least one tier, such as {\"pro\": {\"requests\": \"60/min\"}}" -}}
{{- end -}}
{{- if eq .Values.ledger.store "redis" -}}
{{- if and (not .Values.ledger.redis.urls) (not .Values.ledger.redis.existingSecret) -}}
{{- fail "ledger.redis: neither urls nor existingSecret: expected one of them with ledger.store redis" -}}
{{- end -}}
{{- else -}}
{{- if .Values.sidecar.autoscaling.enabled -}}
{{- fail "sidecar.autoscaling.enabled: true: the embedded store is one process on one volume: expected ledger.store redis" -}}
{{- end -}}
{{- if gt (int .Values.sidecar.replicas) 1 -}}
{{- fail (printf "sidecar.replicas: %d: the embedded store is one process on one volume: expected 1, or ledger.store redis" (int .Values.sidecar.replicas)) -}}
{{- end -}}
{{- end -}}
{{- $gateway := .Values.integrations.envoyGateway -}}
{{- if $gateway.enabled -}}
{{- if not $gateway.gateway.name -}}
{{- fail "integrations.envoyGateway.gateway.name: empty: expected the name of a Gateway" -}}
{{- end -}}
{{- if and $gateway.patch.enabled (not $gateway.patch.listeners) -}}
{{- fail "integrations.envoyGateway.patch.listeners: empty: expected xDS names such as default/eg/http" -}}
{{- end -}}
{{- if and (not $gateway.patch.enabled) (eq (dig "hold_headers" false .Values.policy) true) -}}
{{- fail "policy.hold_headers: true: an EnvoyExtensionPolicy cannot hold headers: expected false, or integrations.envoyGateway.patch.enabled" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.integrations.envoy.enabled (not .Values.integrations.envoy.upstream.host) -}}
{{- fail "integrations.envoy.upstream.host: empty: expected the host name of the LLM API" -}}
{{- end -}}
{{- if and .Values.integrations.envoy.enabled (has (int .Values.integrations.envoy.port) (list 9901 9902)) -}}
{{- fail (printf "integrations.envoy.port: %d: Envoy's administration and metrics are at 9901 and 9902: expected another" (int .Values.integrations.envoy.port)) -}}
{{- end -}}
{{- range $place, $scaling := dict "sidecar" .Values.sidecar.autoscaling "integrations.envoy" .Values.integrations.envoy.autoscaling -}}
{{- if and $scaling.enabled (gt (int $scaling.minReplicas) (int $scaling.maxReplicas)) -}}
{{- fail (printf "%s.autoscaling.maxReplicas: %d: expected at least minReplicas, which is %d" $place (int $scaling.maxReplicas) (int $scaling.minReplicas)) -}}
{{- end -}}
{{- end -}}
{{- if hasKey (.Values.sidecar.podAnnotations | default dict) "checksum/settings" -}}
{{- fail "sidecar.podAnnotations: checksum/settings: with it changed settings would start no new pods: expected another name" -}}
{{- end -}}
{{- if hasKey (.Values.integrations.envoy.podAnnotations | default dict) "checksum/config" -}}
{{- fail "integrations.envoy.podAnnotations: checksum/config: with it a changed policy would start no new pods: expected another name" -}}
{{- end -}}
{{- end -}}

{{/* The policy as the filter takes it. Takes (dict "root" $ "ledger" ADDRESS "hold" BOOL). */}}
{{- define "weir.policy" -}}
{{- $policy := deepCopy .root.Values.policy -}}
{{- $ledger := merge (dict "cluster" .ledger) (omit (dig "ledger" dict $policy) "cluster") -}}
{{- $policy = set $policy "ledger" $ledger -}}
{{- $policy = set $policy "hold_headers" .hold -}}
{{- toJson $policy -}}
{{- end -}}

{{/* Whether headers are held: "true" unless the policy says otherwise. */}}
{{- define "weir.hold" -}}
{{- dig "hold_headers" true .Values.policy -}}
{{- end -}}
