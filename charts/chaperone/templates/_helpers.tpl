{{/*
Names are fixed: a cluster has one installation, for its webhook configurations, its roots and its labels on
namespaces are the cluster's own.
*/}}

{{/* Labels of every object. Takes the root context. */}}
{{- define "chaperone.labels" -}}
app.kubernetes.io/name: chaperone
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: chaperone
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* What selects one component's pods; never changes. Takes (list root component). */}}
{{- define "chaperone.selector" -}}
app.kubernetes.io/name: chaperone
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Labels of one component's objects. Takes (list root component). */}}
{{- define "chaperone.componentLabels" -}}
{{ include "chaperone.labels" (index . 0) }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* An image by program: operator, sidecar, collector or lockdown. Takes (list root program). */}}
{{- define "chaperone.image" -}}
{{- $root := index . 0 -}}
{{- $all := $root.Values.image -}}
{{- $image := index $root.Values.images (index . 1) -}}
{{- with $all.registry }}{{ . }}/{{ end -}}
{{- $image.repository -}}
{{- if $image.digest }}@{{ $image.digest }}
{{- else }}:{{ coalesce $image.tag $all.tag $root.Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* A Service of ours as pods reach it. Takes (list root component). */}}
{{- define "chaperone.url" -}}
{{- $root := index . 0 -}}
https://chaperone-{{ index . 1 }}.{{ $root.Release.Namespace }}.svc.{{ $root.Values.clusterDomain }}:443
{{- end -}}

{{/* A list as an environment variable; nothing if it is empty. Takes (list NAME items). */}}
{{- define "chaperone.listEnv" -}}
{{- with index . 1 -}}
- name: {{ index $ 0 }}
  value: {{ join "," . | quote }}
{{- end -}}
{{- end -}}

{{/* What every role that judges resources has to know. Takes the root context. */}}
{{- define "chaperone.governanceEnv" -}}
- name: CHAPERONE_FOREIGN_TARGETS
  value: {{ .Values.governance.foreignTargets }}
{{- with include "chaperone.listEnv" (list "CHAPERONE_ALLOWED_HOSTS" .Values.governance.allowedHosts) }}
{{ . }}
{{- end }}
{{- with include "chaperone.listEnv" (list "CHAPERONE_OIDC_ISSUERS" .Values.governance.oidcIssuers) }}
{{ . }}
{{- end }}
{{- end -}}

{{/* What is injected. Takes the root context. */}}
{{- define "chaperone.injectionEnv" -}}
- name: CHAPERONE_SIDECAR_IMAGE
  value: {{ include "chaperone.image" (list . "sidecar") }}
- name: CHAPERONE_SIDECAR_IMAGE_PULL_POLICY
  value: {{ .Values.image.pullPolicy }}
{{- if .Values.images.lockdown.repository }}
- name: CHAPERONE_LOCKDOWN_IMAGE
  value: {{ include "chaperone.image" (list . "lockdown") }}
{{- end }}
- name: CHAPERONE_POLICY_API_URL
  value: {{ include "chaperone.url" (list . "policy-api") }}
- name: CHAPERONE_COLLECTOR_URL
  value: {{ include "chaperone.url" (list . "collector") }}
- name: CHAPERONE_SIDECAR_OPS_PORT
  value: {{ .Values.sidecar.opsPort | quote }}
- name: CHAPERONE_SIDECAR_RESOURCES
  value: {{ toJson .Values.sidecar.resources | quote }}
- name: CHAPERONE_SPOOL_SIZE_LIMIT
  value: {{ .Values.sidecar.spoolSizeLimit | quote }}
- name: CHAPERONE_SPOOL_MAX_BYTES
  value: {{ .Values.sidecar.spoolMaxBytes | quote }}
{{- with include "chaperone.listEnv" (list "CHAPERONE_EXCLUDED_NAMESPACES" .Values.injection.excludedNamespaces) }}
{{ . }}
{{- end }}
{{- end -}}

{{/* Settings of every role of the operator. Takes the root context. */}}
{{- define "chaperone.operatorEnv" -}}
- name: CHAPERONE_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: CHAPERONE_INSTANCE
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: CHAPERONE_CLUSTER_DOMAIN
  value: {{ .Values.clusterDomain }}
- name: CHAPERONE_LOG_LEVEL
  value: {{ .Values.logLevel }}
{{- end -}}

{{/*
The gateway's port of a target, by name. The number follows the order of the list; the name does not, so that
callers never come to another target while an old pod serves beside a new one. Takes a target.
*/}}
{{- define "chaperone.gatewayPort" -}}
{{ printf "t-%s" (printf "%s/%s" .namespace .name | sha256sum | trunc 12) }}
{{- end -}}

{{/*
Annotations of the webhook configurations: with cert-manager, its injector fills caBundle; else the controllers'
leader does. Takes the root context; empty with the internal authority.
*/}}
{{- define "chaperone.webhookAnnotations" -}}
{{- if eq .Values.certificates.provider "CertManager" -}}
cert-manager.io/inject-ca-from: {{ .Release.Namespace }}/chaperone-webhook-tls
{{- end -}}
{{- end -}}

{{/* Name of the gateway's Service of a target. Takes a target. */}}
{{- define "chaperone.gatewayService" -}}
{{ printf "chaperone-gateway-%s-%s" .namespace .name | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{/* Host names of the gateway's Services, joined by commas. Takes the root context. */}}
{{- define "chaperone.gatewayNames" -}}
{{- $names := list -}}
{{- range .Values.gateway.targets -}}
{{- $service := include "chaperone.gatewayService" . -}}
{{- $qualified := printf "%s.%s" $service $.Release.Namespace -}}
{{- $names = concat $names (list $service $qualified (printf "%s.svc" $qualified) (printf "%s.svc.%s" $qualified $.Values.clusterDomain)) -}}
{{- end -}}
{{ join "," $names }}
{{- end -}}
