{{/* The operator's name, of which every object's name begins: release "chatstream" gives "chatstream-operator". */}}
{{- define "chatstream.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- printf "%s-operator" (.Release.Name | trunc 43 | trimSuffix "-") -}}
{{- else -}}
{{- printf "%s-%s-operator" (.Release.Name | trunc 32 | trimSuffix "-") .Chart.Name -}}
{{- end -}}
{{- end -}}

{{- define "chatstream.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "chatstream.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name is needed when serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "chatstream.selectorLabels" -}}
app.kubernetes.io/name: chatstream-operator
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "chatstream.labels" -}}
{{ include "chatstream.selectorLabels" . }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: chatstream
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | quote }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The full name of an image: a digest wins over a tag, an empty tag means the chart's own version. */}}
{{- define "chatstream.image" -}}
{{- if .image.digest -}}
{{- printf "%s@%s" .image.repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" .image.repository (default .appVersion .image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "chatstream.operatorImage" -}}
{{- include "chatstream.image" (dict "image" .Values.image "appVersion" .Chart.AppVersion) -}}
{{- end -}}

{{/* Pod security "restricted", shared by the operator and the test. */}}
{{- define "chatstream.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "chatstream.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Two operators would write the same objects in turn. Only an install against a cluster can look; a rendering cannot. */}}
{{- define "chatstream.refuseSecondOperator" -}}
{{- $release := printf "%s/%s" .Release.Namespace .Release.Name -}}
{{- range (lookup "apps/v1" "Deployment" "" "").items -}}
{{- if eq "chatstream-operator" (dig "app.kubernetes.io/name" "" (default dict .metadata.labels)) -}}
{{- $other := printf "%s/%s" .metadata.namespace (dig "meta.helm.sh/release-name" .metadata.name (default dict .metadata.annotations)) -}}
{{- if ne $other $release -}}
{{- fail (printf "one ChatStream operator serves a whole cluster, and this one has one already: release %s (Deployment %s). Upgrade that release, or uninstall it first." $other .metadata.name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
