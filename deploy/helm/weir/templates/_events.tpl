{{/* The moderators that the sidecar may call, as WEIR_MODERATION_ALLOW has them: the policy's own and others. */}}
{{- define "weir.moderators" -}}
{{- $allow := .Values.sidecar.moderation.allow | default list -}}
{{- $own := dig "events" "moderation" dict .Values.policy -}}
{{- if $own.url -}}
{{- $allow = prepend $allow (ternary (printf "%s=%s" (default "" $own.key) $own.url) $own.url (not (empty $own.key))) -}}
{{- end -}}
{{- $allow | uniq | join "," -}}
{{- end -}}

{{/* Everything that the sidecar sends events to, separated by commas. */}}
{{- define "weir.eventUrls" -}}
{{- $otel := .Values.sidecar.otel -}}
{{- $urls := list .Values.sidecar.webhooks.url $otel.endpoint $otel.tracesEndpoint $otel.logsEndpoint -}}
{{- range splitList "," (include "weir.moderators" .) -}}
{{- $urls = append $urls (regexReplaceAll "^[a-z][a-z0-9_]*=" . "") -}}
{{- end -}}
{{- $urls | compact | uniq | join "," -}}
{{- end -}}

{{/* The ports of these, separated by commas. */}}
{{- define "weir.eventPorts" -}}
{{- $ports := list -}}
{{- range splitList "," (include "weir.eventUrls" .) | compact -}}
{{- $url := urlParse . -}}
{{- $port := trimPrefix ":" (regexFind ":[0-9]+$" $url.host) -}}
{{- $ports = append $ports (default (ternary "443" "80" (eq $url.scheme "https")) $port) -}}
{{- end -}}
{{- $ports | uniq | join "," -}}
{{- end -}}

{{/* name=value pairs with percent-encoded values. A space is %20 there, not +. */}}
{{- define "weir.pairs" -}}
{{- $pairs := list -}}
{{- range $name, $value := . -}}
{{- $pairs = append $pairs (printf "%s=%s" $name ($value | urlquery | replace "+" "%20")) -}}
{{- end -}}
{{- join "," $pairs -}}
{{- end -}}

{{/* A variable out of a Secret: the given one, or the chart's. Takes (dict "root" $ "name" NAME "from" VALUES). */}}
{{- define "weir.secretVariable" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef: { name: {{ default (printf "%s-events" (include "weir.fullname" .root)) .from.existingSecret | quote }}, key: {{ .from.existingSecretKey | quote }} }
{{- end -}}

{{/* The sidecar's environment for events. */}}
{{- define "weir.eventsEnv" -}}
{{- $sidecar := .Values.sidecar -}}
{{- $events := $sidecar.events -}}
{{- $webhooks := $sidecar.webhooks -}}
{{- $otel := $sidecar.otel -}}
{{- if $events.log }}
- { name: WEIR_EVENTS_FILE, value: "-" }
{{- end }}
{{- if or $events.pseudonymKey $events.existingSecret }}
{{ include "weir.secretVariable" (dict "root" . "name" "WEIR_EVENTS_KEY" "from" $events) }}
{{- end }}
{{- if $webhooks.url }}
- { name: WEIR_WEBHOOK_URL, value: {{ $webhooks.url | quote }} }
{{ include "weir.secretVariable" (dict "root" . "name" "WEIR_WEBHOOK_SECRET" "from" $webhooks) }}
{{- end }}
{{- with include "weir.moderators" . }}
- { name: WEIR_MODERATION_ALLOW, value: {{ . | quote }} }
{{- end }}
{{- range $name, $from := $sidecar.moderation.keys }}
{{ include "weir.secretVariable" (dict "root" $ "name" (printf "WEIR_MODERATION_KEY_%s" (upper $name)) "from" $from) }}
{{- end }}
{{- range $variable, $url := dict "OTEL_EXPORTER_OTLP_ENDPOINT" $otel.endpoint "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" $otel.tracesEndpoint "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT" $otel.logsEndpoint }}
{{- if $url }}
- { name: {{ $variable }}, value: {{ $url | quote }} }
{{- end }}
{{- end }}
{{- if or $otel.endpoint $otel.tracesEndpoint $otel.logsEndpoint }}
- { name: OTEL_EXPORTER_OTLP_TIMEOUT, value: {{ $otel.timeoutMs | quote }} }
{{- if or $otel.headers $otel.existingSecret }}
{{ include "weir.secretVariable" (dict "root" . "name" "OTEL_EXPORTER_OTLP_HEADERS" "from" $otel) }}
{{- end }}
{{- with $otel.serviceName }}
- { name: OTEL_SERVICE_NAME, value: {{ . | quote }} }
{{- end }}
{{- with $otel.resourceAttributes }}
- { name: OTEL_RESOURCE_ATTRIBUTES, value: {{ include "weir.pairs" . | quote }} }
{{- end }}
{{- end }}
{{- end -}}

{{/* The secrets among them that are given as values, as lines of a Secret. */}}
{{- define "weir.eventsSecret" -}}
{{- $sidecar := .Values.sidecar -}}
{{- if and $sidecar.events.pseudonymKey (not $sidecar.events.existingSecret) }}
{{ $sidecar.events.existingSecretKey | quote }}: {{ $sidecar.events.pseudonymKey | quote }}
{{- end }}
{{- if and $sidecar.webhooks.secret (not $sidecar.webhooks.existingSecret) }}
{{ $sidecar.webhooks.existingSecretKey | quote }}: {{ $sidecar.webhooks.secret | quote }}
{{- end }}
{{- if and $sidecar.otel.headers (not $sidecar.otel.existingSecret) }}
{{ $sidecar.otel.existingSecretKey | quote }}: {{ include "weir.pairs" $sidecar.otel.headers | quote }}
{{- end }}
{{- end -}}

{{/* Refuses what cannot work together, in words. */}}
{{- define "weir.checkEvents" -}}
{{- $sidecar := .Values.sidecar -}}
{{- $webhooks := $sidecar.webhooks -}}
{{- if and $webhooks.url (not $webhooks.secret) (not $webhooks.existingSecret) -}}
{{- fail "sidecar.webhooks: a url without secret or existingSecret: expected one of them, to sign what is posted" -}}
{{- end -}}
{{- range splitList "," (include "weir.moderators" .) -}}
{{- $name := trimSuffix "=" (regexFind "^[a-z][a-z0-9_]*=" .) -}}
{{- if and $name (not (hasKey $sidecar.moderation.keys $name)) -}}
{{- fail (printf "sidecar.moderation.keys.%s: missing: expected the Secret with the key that the moderator %s is shown" $name .) -}}
{{- end -}}
{{- end -}}
{{- $keys := list -}}
{{- range $place, $given := dict "events" $sidecar.events.pseudonymKey "webhooks" $sidecar.webhooks.secret "otel" $sidecar.otel.headers -}}
{{- $from := get $sidecar $place -}}
{{- if and $given (not $from.existingSecret) -}}
{{- if has $from.existingSecretKey $keys -}}
{{- fail (printf "sidecar.%s.existingSecretKey: %s: another value of the chart's Secret has this key: expected one of its own" $place $from.existingSecretKey) -}}
{{- end -}}
{{- $keys = append $keys $from.existingSecretKey -}}
{{- end -}}
{{- end -}}
{{- $sinks := or $sidecar.events.log $webhooks.url $sidecar.otel.endpoint $sidecar.otel.tracesEndpoint $sidecar.otel.logsEndpoint -}}
{{- if and (dig "events" "moderation" "url" "" .Values.policy) (not $sinks) -}}
{{- fail "policy.events.moderation: nobody would hear what is flagged: expected sidecar.events.log, sidecar.webhooks or sidecar.otel" -}}
{{- end -}}
{{- end -}}
