{{/*
The rights that the configuration needs: { cluster: rules, namespaces: [{ namespace, rules }] }, as `deltawire rbac` has
them (src/config/rights.ts). With existingConfigMap they are what the values say.
*/}}
{{- define "deltawire.rights" -}}
{{- $everywhere := dict -}}
{{- $byNamespace := dict -}}
{{- $rights := dict "cluster" (list) "namespaces" (list) -}}
{{- if .Values.existingConfigMap -}}
  {{- $rights = dict "cluster" .Values.rbac.rules "namespaces" .Values.rbac.namespaceRules -}}
{{- else -}}
  {{- range $index, $source := .Values.config.sources -}}
    {{- range $position, $text := $source.resources -}}
      {{- $path := printf "config.sources[%d].resources[%d]" $index $position -}}
      {{- $name := include "deltawire.resource" (dict "text" $text "path" $path) | fromYaml -}}
      {{- if not $source.namespaces -}}
        {{- $_ := set $everywhere $name.group (append (get $everywhere $name.group | default list) $name.resource) -}}
      {{- end -}}
      {{- range $source.namespaces -}}
        {{- $scope := get $byNamespace . | default dict -}}
        {{- $_ := set $scope $name.group (append (get $scope $name.group | default list) $name.resource) -}}
        {{- $_ := set $byNamespace . $scope -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
  {{- $cluster := include "deltawire.rules" (dict "scope" $everywhere "without" dict) | fromYamlArray -}}
  {{- if not .Values.config.cluster -}}
    {{- $cluster = append $cluster (dict "apiGroups" (list "") "resources" (list "namespaces") "resourceNames" (list "kube-system") "verbs" (list "get")) -}}
  {{- end -}}
  {{- $namespaces := list -}}
  {{- range $namespace, $scope := $byNamespace -}}
    {{- $rules := include "deltawire.rules" (dict "scope" $scope "without" $everywhere) | fromYamlArray -}}
    {{- if $rules }}{{ $namespaces = append $namespaces (dict "namespace" $namespace "rules" $rules) }}{{ end -}}
  {{- end -}}
  {{- $rights = dict "cluster" $cluster "namespaces" $namespaces -}}
{{- end -}}
{{- toYaml $rights -}}
{{- end -}}

{{/* Rules to list and watch the resources of `scope`, which maps groups to them, without those of `without`. */}}
{{- define "deltawire.rules" -}}
{{- $rules := list -}}
{{- range $group, $all := .scope -}}
  {{- $resources := list -}}
  {{- range $all | uniq | sortAlpha -}}
    {{- if not (has . (get $.without $group | default list)) }}{{ $resources = append $resources . }}{{ end -}}
  {{- end -}}
  {{- if $resources -}}
    {{- $rules = append $rules (dict "apiGroups" (list $group) "resources" $resources "verbs" (list "list" "watch")) -}}
  {{- end -}}
{{- end -}}
{{- toYaml $rules -}}
{{- end -}}

{{/* { group, resource } of pods, deployments.apps, deployments.v1.apps or pods.v1. */}}
{{- define "deltawire.resource" -}}
{{- $labels := splitList "." .text -}}
{{- $resource := first $labels -}}
{{- $rest := rest $labels -}}
{{- $group := join "." $rest -}}
{{- if and $rest (regexMatch "^v[1-9][0-9]*((alpha|beta)[1-9][0-9]*)?$" (first $rest)) -}}
  {{- $group = rest $rest | join "." -}}
{{- else if not $rest -}}
  {{- $core := list "configmaps" "endpoints" "events" "limitranges" "namespaces" "nodes" "persistentvolumeclaims"
    "persistentvolumes" "pods" "podtemplates" "replicationcontrollers" "resourcequotas" "secrets" "serviceaccounts" "services" -}}
  {{- if not (has $resource $core) -}}
    {{- fail (printf "\n\n%s: %s may be of any API group, and rights are given by group: write it as `kubectl api-resources -o name` prints it, for example deployments.apps.\n" .path .text) -}}
  {{- end -}}
{{- end -}}
{{- toYaml (dict "group" $group "resource" $resource) -}}
{{- end -}}

{{/* Not empty: Secrets are among what these rights allow. */}}
{{- define "deltawire.readsSecrets" -}}
{{- $rights := include "deltawire.rights" . | fromYaml -}}
{{- $rules := $rights.cluster -}}
{{- range $rights.namespaces }}{{ $rules = concat $rules .rules }}{{ end -}}
{{- range $rules }}{{ if and (has "" .apiGroups) (has "secrets" .resources) }}true{{ end }}{{ end -}}
{{- end -}}
