{{/*
envoy/weir.yaml (or weir-no-hold.yaml), filled in and as YAML: the one place where Weir's Envoy settings are written.
The plain Envoy uses it whole, Istio and Envoy Gateway take the filter, the cluster and the metric labels out of it.
Takes (dict "root" $ "hold" BOOL "wasm" PATH "port" PORT "host" HOST "upstreamPort" PORT).
*/}}
{{- define "weir.envoyConfig" -}}
{{- $file := ternary "files/envoy/weir.yaml" "files/envoy/weir-no-hold.yaml" .hold -}}
{{- $text := .root.Files.Get $file -}}
{{- $policy := include "weir.policy" (dict "root" .root "ledger" "weir_sidecar" "hold" .hold) -}}
{{- $text = regexReplaceAll "(?m)^#.*\\n" $text "" -}}
{{- $text = $text | replace "${ADMIN_PORT}" "9901" | replace "${PORT}" (toString .port) -}}
{{- $text = $text | replace "${WASM}" .wasm -}}
{{- $text = $text | replace "${UPSTREAM_HOST}" .host | replace "${UPSTREAM_PORT}" (toString .upstreamPort) -}}
{{- $text = $text | replace "${SIDECAR_HOST}" (include "weir.host" .root) | replace "${SIDECAR_PORT}" (toString .root.Values.sidecar.port) -}}
{{- $buffer := addf 1048576 (include "weir.bodyBytes" .root | float64) | int64 -}}
{{- if gt $buffer (regexFind "per_connection_buffer_limit_bytes: \\d+" $text | trimPrefix "per_connection_buffer_limit_bytes: " | int64) -}}
{{- $text = regexReplaceAll "(per_connection_buffer_limit_bytes: )\\d+" $text (printf "${1}%d" $buffer) -}}
{{- end -}}
{{- /* Last: what a policy contains is no place of the file. */ -}}
{{- $text = $text | replace "${POLICY}" (toJson $policy) -}}
{{- $text -}}
{{- end -}}

{{/* The largest body that a tier lets in, of those that say so. Of a quantity that is none, the policy's check tells. */}}
{{- define "weir.bodyBytes" -}}
{{- $units := dict "k" 1000 "M" 1000000 "G" 1000000000 "Ki" 1024 "Mi" 1048576 -}}
{{- $largest := 0 -}}
{{- range $_, $tier := .Values.policy.tiers -}}
{{- $given := dig "prompt" "max_bytes" 0 $tier -}}
{{- $unit := kindIs "string" $given | ternary (regexFind "[kMG]i?$" (toString $given)) "" -}}
{{- $bytes := mulf (toString $given | trimSuffix $unit | float64) (get $units $unit | default 1) -}}
{{- $largest = maxf $largest $bytes -}}
{{- end -}}
{{- $largest | int64 -}}
{{- end -}}

{{/* The same with the addresses of no installation: only for the parts that do not depend on them. */}}
{{- define "weir.envoyParts" -}}
{{- $config := include "weir.envoyConfig" (dict "root" .root "hold" .hold "wasm" (default "" .wasm) "port" 10000 "host" "unused" "upstreamPort" 1) | fromYaml -}}
{{- $listener := index $config.static_resources.listeners 0 -}}
{{- $manager := (index (index $listener.filter_chains 0).filters 0).typed_config -}}
{{- $filter := index $manager.http_filters 0 -}}
{{- $sidecar := dict -}}
{{- range $config.static_resources.clusters -}}
{{- if eq .name "weir_sidecar" -}}{{- $sidecar = . -}}{{- end -}}
{{- end -}}
{{- $paths := pick $manager "normalize_path" "merge_slashes" "path_with_escaped_slashes_action" -}}
{{- dict "filter" $filter "cluster" $sidecar "stats" $config.stats_config "paths" $paths "buffer" $listener.per_connection_buffer_limit_bytes | toYaml -}}
{{- end -}}

{{/* How a pod that this chart shapes gets the filter: its volume, and an init container if needed. */}}
{{- define "weir.filterVolume" -}}
{{- $filter := .Values.filter -}}
- name: filter
{{- if eq $filter.delivery "initContainer" }}
  emptyDir:
    sizeLimit: 32Mi
{{- else }}
  image:
    reference: {{ include "weir.image" (dict "image" $filter.image "version" .Chart.AppVersion) }}
    pullPolicy: {{ $filter.image.pullPolicy }}
{{- end }}
{{- end -}}

{{- define "weir.filterPath" -}}
{{- ternary "/weir-filter/plugin.wasm" "/weir-filter/weir.wasm" (eq .Values.filter.delivery "imageVolume") -}}
{{- end -}}

{{- define "weir.filterInit" -}}
- name: filter
  image: {{ include "weir.image" (dict "image" .Values.image "version" .Chart.AppVersion) }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  command: [cp, /weir/dist/weir.wasm, /weir-filter/weir.wasm]
  securityContext:
    runAsNonRoot: true
    runAsUser: 1000
    {{- include "weir.containerSecurity" . | nindent 4 }}
    seccompProfile: { type: RuntimeDefault }
  resources:
    requests: { cpu: 10m, memory: 32Mi }
    limits: { memory: 64Mi }
  volumeMounts:
    - { name: filter, mountPath: /weir-filter }
{{- end -}}
