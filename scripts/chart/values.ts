/**
 * The values of the Helm chart, each with its meaning and default. helm/values.yaml, helm/values.schema.json and the
 * table in helm/README.md are made from it. A key without a default is commented out in values.yaml.
 */
import type { JsonSchema } from '../../src/lib/json-schema.ts'

const text = (description: string): JsonSchema => ({ type: 'string', default: '', description })

const onOff = (value: boolean, description: string): JsonSchema => ({ type: 'boolean', default: value, description })

const group = (description: string, properties: Readonly<Record<string, JsonSchema>>): JsonSchema => ({
  type: 'object',
  description,
  properties,
  additionalProperties: false,
})

/** What Kubernetes defines is passed on as it is: its API server knows best. */
const mapping = (description: string, value: object = {}): JsonSchema => ({
  type: 'object',
  default: value,
  description,
  additionalProperties: true,
})

const list = (description: string): JsonSchema => ({
  type: 'array',
  default: [],
  description,
  items: { type: 'object', additionalProperties: true },
})

const names = (description: string): JsonSchema => ({
  type: 'array',
  default: [],
  description,
  items: { type: 'string', minLength: 1 },
})

const texts = (description: string): JsonSchema => ({
  type: 'object',
  default: {},
  description,
  additionalProperties: { type: 'string' },
})

const probe = (description: string, timing: Readonly<Record<string, number>>): JsonSchema =>
  group(
    description,
    Object.fromEntries(
      Object.entries(timing).map(([name, value]) => [name, { type: 'integer', minimum: 1, default: value }]),
    ),
  )

const monitor = (kind: string): JsonSchema =>
  group(`A ${kind} for the Prometheus operator. One of the two kinds is enough.`, {
    enabled: onOff(false, `Make a ${kind}.`),
    interval: { type: 'string', default: '30s', pattern: '^[0-9]+(ms|s|m)$', description: 'Time between scrapes.' },
    labels: texts('Labels that the Prometheus operator selects it by.'),
  })

/** Without `*`: what is watched is named. */
const rule: JsonSchema = {
  type: 'object',
  required: ['apiGroups', 'resources', 'verbs'],
  properties: {
    apiGroups: { type: 'array', minItems: 1, items: { type: 'string', pattern: '^[a-z0-9.-]*$' } },
    resources: { type: 'array', minItems: 1, items: { type: 'string', pattern: '^[a-z0-9.-]+$' } },
    resourceNames: { type: 'array', minItems: 1, items: { type: 'string', minLength: 1 } },
    verbs: { type: 'array', minItems: 1, items: { enum: ['get', 'list', 'watch'] } },
  },
  additionalProperties: false,
}

/** `config` stands for the schema of a configuration, which generate.ts puts there. */
export const chartValues = {
  config: {
    type: 'object',
    description:
      'The configuration, as docs/configuration.md describes it. Rights in the cluster are made from its sources. Helm ' +
      'replaces lists as a whole and merges mappings. It goes into a ConfigMap: credentials are { file } or { env }.',
    default: {
      apiVersion: 'deltawire.io/v1',
      kind: 'Bridge',
      sources: [{ name: 'pods', resources: ['pods'] }],
      sinks: [{ name: 'stdout', type: 'stdout' }],
    },
  },
  existingConfigMap: text(
    'Name of a ConfigMap with the configuration under the key deltawire.yaml, instead of config. The chart cannot read ' +
      'it: rbac.rules or rbac.namespaceRules say what it needs, as `deltawire rbac --output values` prints it. A change ' +
      'of it takes a restart of the pod.',
  ),
  credentials: group('Credentials, from Secrets that exist. The chart makes none.', {
    existingSecrets: names(
      'Names of Secrets in the release namespace. Each key is a file: /etc/deltawire/credentials/SECRET/KEY.',
    ),
  }),

  image: group('The image: [registry/]repository:tag, or @digest.', {
    registry: text('Registry. Empty: global.imageRegistry, or that of the container runtime.'),
    repository: { type: 'string', minLength: 1, default: 'deltawire/deltawire', description: 'Repository.' },
    tag: text('Tag. Empty: the appVersion of the chart.'),
    digest: {
      type: 'string',
      pattern: '^(sha256:[0-9a-f]{64})?$',
      default: '',
      description: 'Digest, as in sha256:...; goes before the tag.',
    },
    pullPolicy: { enum: ['IfNotPresent', 'Always', 'Never'], default: 'IfNotPresent', description: 'Pull policy.' },
    pullSecrets: names('Names of Secrets to pull the image with.'),
  }),

  rbac: group('Rights in the cluster: list and watch on what config.sources names, and nothing else.', {
    create: onOff(true, 'Make roles and bindings. Without them, bind what `deltawire rbac` prints.'),
    allowSecrets: onOff(
      false,
      'Must be true if Secrets are watched: whoever has the token of the pod can then read them all.',
    ),
    rules: {
      type: 'array',
      default: [],
      description: 'With existingConfigMap: rules of a ClusterRole.',
      items: rule,
    },
    namespaceRules: {
      type: 'array',
      default: [],
      description: 'With existingConfigMap: rules of a Role in each of these namespaces.',
      items: {
        type: 'object',
        required: ['namespace', 'rules'],
        properties: {
          namespace: { type: 'string', minLength: 1 },
          rules: { type: 'array', minItems: 1, items: rule },
        },
        additionalProperties: false,
      },
    },
  }),
  serviceAccount: group('The service account of the pod.', {
    create: onOff(true, 'Make one. If not, name has to exist.'),
    name: text('Its name. Empty: the full name of the release, or default if none is made.'),
    annotations: texts('Annotations, for example eks.amazonaws.com/role-arn.'),
  }),

  resources: mapping(
    'Memory: see docs/install.md, Size. A limit of CPU would fill queues where there is CPU to spare: there is none.',
    { requests: { cpu: '100m', memory: '256Mi' }, limits: { memory: '512Mi' } },
  ),
  tmpSizeLimit: { type: 'string', minLength: 1, default: '16Mi', description: 'Size of /tmp, which is in memory.' },
  terminationGracePeriodSeconds: {
    type: 'integer',
    minimum: 1,
    description:
      'Seconds until the pod is killed. At least config.shutdown.drain and 10 more, which is the default (with existingConfigMap: 30).',
    examples: [30],
  },
  startupProbe: probe('Of /livez: whether the process has started.', {
    periodSeconds: 2,
    timeoutSeconds: 5,
    failureThreshold: 60,
  }),
  livenessProbe: probe('Of /livez: whether the process answers. It is blind to the API server and the sinks.', {
    periodSeconds: 10,
    timeoutSeconds: 5,
    failureThreshold: 6,
  }),
  readinessProbe: probe('Of /readyz: whether every stream has synced and every required sink was reached once.', {
    periodSeconds: 5,
    timeoutSeconds: 5,
    failureThreshold: 1,
  }),

  podSecurityContext: mapping(
    'Security context of the pod. On OpenShift, which chooses ids itself, runAsUser and runAsGroup are left out; where ' +
      'the chart cannot see that it is OpenShift (`helm template`), set them to null.',
    { runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532, seccompProfile: { type: 'RuntimeDefault' } },
  ),
  securityContext: mapping('Security context of the container.', {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  }),
  hostUsers: {
    type: 'boolean',
    description: 'false: the pod gets a user namespace of its own, on nodes that can.',
    examples: [false],
  },
  priorityClassName: text('Priority class of the pod.'),
  runtimeClassName: text('Runtime class of the pod.'),
  nodeSelector: texts('Labels of the nodes that it may run on.'),
  tolerations: list('Taints that it tolerates.'),
  affinity: mapping('Affinity of the pod.'),
  topologySpreadConstraints: list('How pods are spread. There is one.'),

  podAnnotations: texts('Annotations of the pod.'),
  podLabels: texts('Labels of the pod.'),
  commonLabels: texts('Labels of every object.'),

  service: group('A Service for probes and metrics; `helm test` asks it.', {
    enabled: onOff(true, 'Make it.'),
    port: { type: 'integer', minimum: 1, maximum: 65_535, default: 8080, description: 'Its port.' },
    annotations: texts('Annotations.'),
  }),
  serviceMonitor: monitor('ServiceMonitor'),
  podMonitor: monitor('PodMonitor'),
  networkPolicy: group('A NetworkPolicy: in, probes and metrics; out, DNS, the API server and the sinks.', {
    enabled: onOff(false, 'Make it. It takes a network plug-in that enforces it.'),
    metricsFrom: list('Who may ask for probes and metrics, as `from` of a NetworkPolicy. Empty: everybody.'),
    apiServerPorts: {
      type: 'array',
      default: [443, 6443],
      description: 'Ports of the API server, as its endpoints have them: a policy acts behind the Service.',
      items: { type: 'integer', minimum: 1, maximum: 65_535 },
    },
    egress: list('How to the sinks, as `egress` of a NetworkPolicy.'),
  }),

  extraArgs: names('Further arguments of `deltawire run`, for example --log.level=debug.'),
  extraEnv: list('Further environment variables of the container.'),
  extraEnvFrom: list(
    'Further sources of environment variables: { secretRef: { name } } or { configMapRef: { name } }.',
  ),
  extraVolumes: list('Further volumes of the pod.'),
  extraVolumeMounts: list('Further mounts of the container.'),
  extraInitContainers: list('Init containers.'),
  extraContainers: list('Further containers of the pod.'),
  extraObjects: list('Further objects of the release.'),

  nameOverride: text('Instead of the name of the chart, in names and labels.'),
  fullnameOverride: text('Instead of the name of the release and the chart, in names.'),
  global: {
    type: 'object',
    description: 'What a chart shares with those that it is part of.',
    properties: { imageRegistry: text('Registry of all images.') },
    additionalProperties: true,
  },
} as const satisfies Readonly<Record<string, JsonSchema>>
