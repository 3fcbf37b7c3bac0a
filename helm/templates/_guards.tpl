{{/* What would install and not work: refused here, with the way out. */}}
{{- define "deltawire.guards" -}}
{{- $values := .Values -}}
{{- range list "replicas" "replicaCount" "autoscaling" "leaderElection" "sharding" "persistence" -}}
  {{- if hasKey $values . -}}
    {{- fail (printf "\n\n%s: this version runs one replica that keeps its state in memory; remove the value.\n" .) -}}
  {{- end -}}
{{- end -}}

{{- if .Values.existingConfigMap -}}
  {{- if not (include "deltawire.isDefaultConfig" .) -}}
    {{- fail "\n\nconfig and existingConfigMap are both set, and there is one configuration: remove one of them.\n" -}}
  {{- end -}}
  {{- if and .Values.rbac.create (not .Values.rbac.rules) (not .Values.rbac.namespaceRules) -}}
    {{- fail "\n\nexistingConfigMap: the chart cannot read it, so rbac.rules or rbac.namespaceRules have to say what it needs. `deltawire rbac --config FILE --output values` prints them; or set rbac.create=false and bind the rights yourself.\n" -}}
  {{- end -}}
{{- else -}}
  {{- if not .Values.config -}}
    {{- fail "\n\nThere is no configuration: set config or existingConfigMap.\n" -}}
  {{- end -}}
  {{- if or .Values.rbac.rules .Values.rbac.namespaceRules -}}
    {{- fail "\n\nrbac.rules and rbac.namespaceRules are for existingConfigMap: with config, rights are made from its sources. Remove them.\n" -}}
  {{- end -}}
  {{- include "deltawire.guardConfig" . -}}
{{- end -}}

{{- if and .Values.rbac.create (not .Values.rbac.allowSecrets) (include "deltawire.readsSecrets" .) -}}
  {{- fail "\n\nSecrets are watched: that takes rbac.allowSecrets=true. Their values are redacted, but whoever has the token of the pod can read them all.\n" -}}
{{- end -}}

{{- $need := add (include "deltawire.drain" . | int) 10 -}}
{{- if lt (include "deltawire.gracePeriod" . | int) ($need | int) -}}
  {{- fail (printf "\n\nterminationGracePeriodSeconds is %v, and config.shutdown.drain may take %v s: the pod would be killed with events on their way. Set it to %d or more, or leave it out.\n" .Values.terminationGracePeriodSeconds (include "deltawire.drain" .) $need) -}}
{{- end -}}

{{- range regexFindAll "\"file\":\"/etc/deltawire/credentials/[^/\"]+/" (.Values.config | toJson) -1 | uniq -}}
  {{- $folder := trimPrefix "\"file\":\"" . -}}
  {{- $secret := base $folder -}}
  {{- $isMounted := or $values.existingConfigMap (has $secret $values.credentials.existingSecrets) -}}
  {{- range $values.extraVolumeMounts -}}
    {{- if hasPrefix (printf "%s/" (trimSuffix "/" .mountPath)) $folder }}{{ $isMounted = true }}{{ end -}}
  {{- end -}}
  {{- if not $isMounted -}}
    {{- fail (printf "\n\nconfig has a file in %s, and no Secret of that name is mounted: add %s to credentials.existingSecrets, or correct the path.\n" $folder $secret) -}}
  {{- end -}}
{{- end -}}

{{- range .Values.extraEnv -}}
  {{- if has .name (list "DELTAWIRE_HTTP_LISTEN" "DELTAWIRE_SHUTDOWN_DRAIN") -}}
    {{- fail (printf "\n\nextraEnv: %s would go before config, from which probes and grace period are made. Set it in config.\n" .name) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{- define "deltawire.guardConfig" -}}
{{- $everywhere := false -}}
{{- range $index, $source := .Values.config.sources -}}
  {{- if not $source.namespaces }}{{ $everywhere = true }}{{ end -}}
  {{- range $position, $text := $source.resources -}}
    {{- if and (regexMatch "^secrets([.]v1)?$" $text) (not $source.allowSecrets) -}}
      {{- fail (printf "\n\nconfig.sources[%d].resources[%d]: Secrets are not watched unless the source says allowSecrets: true (and the values rbac.allowSecrets=true).\n" $index $position) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- if and .Values.rbac.create (not $everywhere) (not .Values.config.cluster) -}}
  {{- fail "\n\nEvery source has namespaces, so rights in these namespaces would do; but without config.cluster the name of the cluster is the uid of namespace kube-system, and reading that takes a right in the cluster. Set config.cluster, for example to prod-eu.\n" -}}
{{- end -}}
{{- $listen := dig "http" "listen" ":8080" .Values.config -}}
{{- if not (regexMatch "^(0[.]0[.]0[.]0|\\[::\\])?:[1-9][0-9]*$" $listen) -}}
  {{- fail (printf "\n\nconfig.http.listen is %s: probes come from outside of the pod, so it has to be all addresses and a port, as in :8080.\n" $listen) -}}
{{- end -}}
{{- end -}}
