/** Every value that is off or empty by default. */
export const everything = {
  credentials: { existingSecrets: ['a', 'b'] },
  image: { pullSecrets: ['registry'] },
  serviceAccount: { annotations: { 'eks.amazonaws.com/role-arn': 'arn:aws:iam::123456789012:role/deltawire' } },
  hostUsers: false,
  priorityClassName: 'high',
  runtimeClassName: 'gvisor',
  nodeSelector: { 'kubernetes.io/os': 'linux' },
  tolerations: [{ key: 'dedicated', operator: 'Exists' }],
  affinity: {
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: [{ matchExpressions: [{ key: 'a', operator: 'Exists' }] }],
      },
    },
  },
  topologySpreadConstraints: [
    {
      maxSkew: 1,
      topologyKey: 'zone',
      whenUnsatisfiable: 'ScheduleAnyway',
      labelSelector: { matchLabels: { a: 'b' } },
    },
  ],
  podAnnotations: { 'prometheus.io/scrape': 'true' },
  podLabels: { tier: 'platform' },
  commonLabels: { team: 'audit' },
  service: { annotations: { a: 'b' } },
  serviceMonitor: { enabled: true, labels: { release: 'prometheus' } },
  podMonitor: { enabled: true, labels: { release: 'prometheus' } },
  networkPolicy: {
    enabled: true,
    metricsFrom: [{ namespaceSelector: { matchLabels: { team: 'monitoring' } } }],
    egress: [{ ports: [{ port: 9092, protocol: 'TCP' }] }],
  },
  extraArgs: ['--log.level=debug'],
  extraEnv: [{ name: 'HTTPS_PROXY', value: 'http://proxy:3128' }],
  extraEnvFrom: [{ secretRef: { name: 'env' } }],
  extraVolumes: [{ name: 'ca', configMap: { name: 'ca' } }],
  extraVolumeMounts: [{ name: 'ca', mountPath: '/etc/ca' }],
  extraInitContainers: [{ name: 'init', image: 'init' }],
  extraContainers: [{ name: 'sidecar', image: 'sidecar' }],
  extraObjects: [{ apiVersion: 'v1', kind: 'LimitRange', metadata: { name: 'mine' } }],
}
