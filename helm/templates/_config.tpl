{{/* What the chart reads in the configuration. */}}

{{/*
deltawire.yaml as it is written: never through tpl, expressions in it may hold braces. Helm reads YAML 1.1, in which the
key `on` of a route is the boolean true.
*/}}
{{- define "deltawire.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- range $config.routes -}}
  {{- if hasKey . "true" }}{{ $_ := set . "on" (get . "true") }}{{ $_ := unset . "true" }}{{ end -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* The default of values.yaml: with existingConfigMap it is no second configuration. */}}
{{- define "deltawire.isDefaultConfig" -}}
{{- $default := dict
  "apiVersion" "deltawire.io/v1"
  "kind" "Bridge"
  "sources" (list (dict "name" "pods" "resources" (list "pods")))
  "sinks" (list (dict "name" "stdout" "type" "stdout")) -}}
{{- if deepEqual $default (.Values.config | default $default) }}true{{ end -}}
{{- end -}}

{{/* The port of http.listen. An existing ConfigMap cannot be read: there it is an argument of the process. */}}
{{- define "deltawire.port" -}}
{{- $listen := ":8080" -}}
{{- if not .Values.existingConfigMap }}{{ $listen = dig "http" "listen" ":8080" .Values.config }}{{ end -}}
{{- regexFind "[0-9]+$" $listen -}}
{{- end -}}

{{/* Seconds of shutdown.drain, rounded up. */}}
{{- define "deltawire.drain" -}}
{{- $text := "20s" -}}
{{- if not .Values.existingConfigMap }}{{ $text = dig "shutdown" "drain" "20s" .Values.config | toString }}{{ end -}}
{{- $unit := regexFind "[a-z]+$" $text | default "s" -}}
{{- $seconds := get (dict "ms" 0.001 "s" 1.0 "m" 60.0 "h" 3600.0) $unit -}}
{{- mulf (trimSuffix $unit $text | float64) $seconds | ceil | int -}}
{{- end -}}

{{- define "deltawire.gracePeriod" -}}
{{- .Values.terminationGracePeriodSeconds | default (add (include "deltawire.drain" . | int) 10) -}}
{{- end -}}
