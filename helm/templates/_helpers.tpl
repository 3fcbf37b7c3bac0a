{{/* Names and labels. Names are cut at 63 characters, which labels and Services allow. */}}

{{- define "deltawire.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "deltawire.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- .Values.fullnameOverride | default $full | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Of roles: two releases of one name in two namespaces have roles in the same cluster. */}}
{{- define "deltawire.roleName" -}}
{{- printf "%s-%s" .Release.Namespace (include "deltawire.fullname" .) -}}
{{- end -}}

{{- define "deltawire.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (ternary (include "deltawire.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{/* They never change: a Deployment cannot take others. */}}
{{- define "deltawire.selectorLabels" -}}
app.kubernetes.io/name: {{ include "deltawire.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* The pod of `helm test`. */}}
{{- define "deltawire.testName" -}}
{{- include "deltawire.fullname" . | trunc 57 | trimSuffix "-" }}-ready
{{- end -}}

{{- define "deltawire.labels" -}}
{{- $own := dict
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/version" (.Chart.AppVersion | replace "+" "_" | trunc 63)
  "app.kubernetes.io/managed-by" .Release.Service -}}
{{- toYaml (merge (include "deltawire.selectorLabels" . | fromYaml) $own .Values.commonLabels) -}}
{{- end -}}

{{/* [registry/]repository@digest, or :tag */}}
{{- define "deltawire.image" -}}
{{- $registry := .Values.image.registry | default (.Values.global).imageRegistry -}}
{{- with $registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{- .Values.image.repository -}}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end -}}
{{- end -}}

{{/* OpenShift gives each namespace its own range of ids, and refuses others. */}}
{{- define "deltawire.podSecurityContext" -}}
{{- $isOpenShift := .Capabilities.APIVersions.Has "security.openshift.io/v1" -}}
{{- ternary (omit .Values.podSecurityContext "runAsUser" "runAsGroup" "fsGroup") .Values.podSecurityContext $isOpenShift | toYaml -}}
{{- end -}}
