{{/* Names of the objects and the hook's annotations differ between the wait after an installation and `helm test`. Takes (list root name annotations timeoutSeconds). */}}
{{- define "chaperone.admissionCheck" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $annotations := index . 2 -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "chaperone.labels" $root | nindent 4 }}
  annotations:
    {{- toYaml $annotations | nindent 4 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ $name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "chaperone.labels" $root | nindent 4 }}
  annotations:
    {{- toYaml $annotations | nindent 4 }}
rules:
- apiGroups: [chaperone.dev]
  resources: [machineidentities]
  verbs: [create]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "chaperone.labels" $root | nindent 4 }}
  annotations:
    {{- toYaml $annotations | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ $name }}
subjects:
- kind: ServiceAccount
  name: {{ $name }}
  namespace: {{ $root.Release.Namespace }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ $name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "chaperone.labels" $root | nindent 4 }}
  annotations:
    {{- toYaml $annotations | nindent 4 }}
data:
  wait-for-admission.mjs: |
    {{- $root.Files.Get "files/wait-for-admission.mjs" | nindent 4 }}
---
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ $name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "chaperone.labels" $root | nindent 4 }}
  annotations:
    {{- toYaml (merge (dict "helm.sh/hook-weight" "1") $annotations) | nindent 4 }}
spec:
  backoffLimit: 0
  template:
    metadata:
      labels:
        {{- include "chaperone.labels" $root | nindent 8 }}
    spec:
      {{- include "chaperone.pod" (list $root (trimPrefix "chaperone-" $name)) | nindent 6 }}
      restartPolicy: Never
      containers:
      - name: check
        image: {{ include "chaperone.image" (list $root "operator") }}
        imagePullPolicy: {{ $root.Values.image.pullPolicy }}
        command: [/opt/chaperone/node, /script/wait-for-admission.mjs]
        env:
        - name: NODE_EXTRA_CA_CERTS
          value: /var/run/secrets/kubernetes.io/serviceaccount/ca.crt
        - name: TIMEOUT_SECONDS
          value: {{ index . 3 | quote }}
        resources:
          requests:
            cpu: 10m
            memory: 64Mi
          limits:
            memory: 128Mi
        securityContext:
          {{- include "chaperone.containerSecurity" $root | nindent 10 }}
        volumeMounts:
        - name: script
          mountPath: /script
          readOnly: true
      volumes:
      - name: script
        configMap:
          name: {{ $name }}
{{- end -}}
