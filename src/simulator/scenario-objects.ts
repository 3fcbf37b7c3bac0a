import type { JsonObject } from './json.ts'
import type { ObjectInput } from './simulator.ts'

/** The objects of the scenario, as the components of a real cluster write them. */

export interface Workload {
  readonly namespace: string
  readonly name: string
  readonly image: string
  readonly port: number
}

export interface Owner {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly uid?: unknown }
}

function controlledBy({ apiVersion, kind, metadata: { name, uid } }: Owner): readonly JsonObject[] {
  return [{ apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true }]
}

export function node(name: string, ip: string): ObjectInput {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      labels: {
        'kubernetes.io/arch': 'amd64',
        'kubernetes.io/hostname': name,
        'kubernetes.io/os': 'linux',
        'node.kubernetes.io/instance-type': 'm7i.xlarge',
        'topology.kubernetes.io/zone': 'eu-central-1a',
      },
      annotations: {
        'csi.volume.kubernetes.io/nodeid': `{"ebs.csi.aws.com":"${name}"}`,
        'alpha.kubernetes.io/provided-node-ip': ip,
      },
    },
    spec: { podCIDR: `10.244.${ip.split('.').at(-1)}.0/24`, providerID: `aws:///eu-central-1a/${name}` },
  }
}

export function nodeStatus(name: string, ip: string, heartbeat: string): JsonObject {
  const condition = (type: string, status: string, reason: string) => ({
    type,
    status,
    reason,
    lastHeartbeatTime: heartbeat,
  })
  return {
    addresses: [
      { type: 'InternalIP', address: ip },
      { type: 'Hostname', address: name },
    ],
    capacity: { cpu: '4', memory: '16074512Ki', pods: '110' },
    allocatable: { cpu: '3920m', memory: '15056656Ki', pods: '110' },
    conditions: [
      condition('MemoryPressure', 'False', 'KubeletHasSufficientMemory'),
      condition('DiskPressure', 'False', 'KubeletHasNoDiskPressure'),
      condition('Ready', 'True', 'KubeletReady'),
    ],
    nodeInfo: {
      kubeletVersion: 'v1.36.2',
      osImage: 'Bottlerocket OS 1.40.0',
      containerRuntimeVersion: 'containerd://2.1.4',
    },
  }
}

export function configMap(namespace: string, name: string, data: Readonly<Record<string, string>>): ObjectInput {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace, name }, data }
}

export function deployment({ namespace, name, image, port }: Workload, replicas: number): ObjectInput {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { namespace, name, labels: { app: name }, annotations: { 'deployment.kubernetes.io/revision': '1' } },
    spec: {
      replicas,
      revisionHistoryLimit: 10,
      selector: { matchLabels: { app: name } },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' } },
      template: { metadata: { labels: { app: name } }, spec: podSpec(name, image, port) },
    },
  }
}

export function replicaSet(workload: Workload, hash: string, replicas: number, owner: Owner): ObjectInput {
  const { namespace, name, image, port } = workload
  const labels = { app: name, 'pod-template-hash': hash }
  return {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: { namespace, name: `${name}-${hash}`, labels, ownerReferences: controlledBy(owner) },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: podSpec(name, image, port) },
    },
  }
}

export function pod(workload: Workload, owner: Owner, labels: Readonly<Record<string, string>>): ObjectInput {
  const { namespace, name, image, port } = workload
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      namespace,
      generateName: `${owner.metadata.name}-`,
      labels: { app: name, ...labels },
      annotations: { 'prometheus.io/port': String(port), 'prometheus.io/scrape': 'true' },
      ownerReferences: controlledBy(owner),
    },
    spec: { ...podSpec(name, image, port), volumes: [tokenVolume()] },
  }
}

function podSpec(name: string, image: string, port: number): JsonObject {
  const probe = (path: string) => ({
    httpGet: { path, port, scheme: 'HTTP' },
    periodSeconds: 10,
    timeoutSeconds: 1,
    failureThreshold: 3,
  })
  return {
    containers: [
      {
        name,
        image,
        imagePullPolicy: 'IfNotPresent',
        ports: [{ containerPort: port, name: 'http', protocol: 'TCP' }],
        env: [
          { name: 'LOG_LEVEL', value: 'info' },
          { name: 'POD_NAME', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.name' } } },
          { name: 'DATABASE_URL', valueFrom: { secretKeyRef: { name: 'database', key: 'url' } } },
        ],
        resources: { limits: { memory: '256Mi' }, requests: { cpu: '100m', memory: '128Mi' } },
        livenessProbe: probe('/livez'),
        readinessProbe: probe('/readyz'),
        volumeMounts: [
          { name: 'kube-api-access', mountPath: '/var/run/secrets/kubernetes.io/serviceaccount', readOnly: true },
        ],
        terminationMessagePath: '/dev/termination-log',
        terminationMessagePolicy: 'File',
      },
    ],
    dnsPolicy: 'ClusterFirst',
    enableServiceLinks: true,
    preemptionPolicy: 'PreemptLowerPriority',
    priority: 0,
    restartPolicy: 'Always',
    schedulerName: 'default-scheduler',
    securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    serviceAccount: name,
    serviceAccountName: name,
    terminationGracePeriodSeconds: 30,
    tolerations: ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'].map((key) => ({
      key,
      effect: 'NoExecute',
      operator: 'Exists',
      tolerationSeconds: 300,
    })),
  }
}

function tokenVolume(): JsonObject {
  return {
    name: 'kube-api-access',
    projected: {
      defaultMode: 420,
      sources: [
        { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } },
        { configMap: { items: [{ key: 'ca.crt', path: 'ca.crt' }], name: 'kube-root-ca.crt' } },
        {
          downwardAPI: {
            items: [{ fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' }, path: 'namespace' }],
          },
        },
      ],
    },
  }
}

export interface ContainerState {
  readonly restartCount: number
  readonly ready: boolean
  /** `{ waiting: { reason } }`, `{ running: { startedAt } }` or `{ terminated: { exitCode, reason, ... } }`. */
  readonly state: JsonObject
  readonly lastState?: JsonObject
}

/** What a kubelet reports of a pod with one container. */
export function podStatus(
  workload: Workload,
  at: { hostIP: string; podIP?: string; now: string },
  container: ContainerState,
): JsonObject {
  const { name, image } = workload
  const { hostIP, podIP, now } = at
  const condition = (type: string, met: boolean) => ({
    type,
    status: met ? 'True' : 'False',
    lastProbeTime: null,
    lastTransitionTime: now,
    ...(met ? {} : { reason: 'ContainersNotReady', message: `containers with unready status: [${name}]` }),
  })
  return {
    phase: podIP === undefined ? 'Pending' : 'Running',
    conditions: [
      condition('PodReadyToStartContainers', podIP !== undefined),
      condition('Initialized', true),
      condition('Ready', container.ready),
      condition('ContainersReady', container.ready),
      condition('PodScheduled', true),
    ],
    containerStatuses: [
      {
        name,
        image,
        imageID: podIP === undefined ? '' : `${image.split(':')[0]}@sha256:${'3b1f0c9ad27e'.repeat(5)}b0c7`,
        started: container.ready,
        lastState: {},
        ...container,
      },
    ],
    hostIP,
    hostIPs: [{ ip: hostIP }],
    ...(podIP === undefined ? {} : { podIP, podIPs: [{ ip: podIP }] }),
    qosClass: 'Burstable',
    startTime: now,
  }
}

/** A Kubernetes Event about a pod, as a kubelet records it. */
export function kubeEvent(
  about: Owner & { metadata: { namespace?: string } },
  reason: string,
  message: string,
  now: string,
): ObjectInput {
  const { apiVersion, kind, metadata } = about
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { namespace: metadata.namespace ?? 'default', generateName: `${metadata.name}.` },
    involvedObject: { apiVersion, kind, name: metadata.name, namespace: metadata.namespace, uid: metadata.uid },
    reason,
    message,
    type: 'Warning',
    source: { component: 'kubelet' },
    count: 1,
    firstTimestamp: now,
    lastTimestamp: now,
  }
}

/** Serves `widgets.example.com`. */
export const widgetDefinition: ObjectInput = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.example.com' },
  spec: {
    group: 'example.com',
    scope: 'Namespaced',
    names: { plural: 'widgets', singular: 'widget', kind: 'Widget', listKind: 'WidgetList' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
      },
    ],
  },
}

export function widget(namespace: string, name: string, size: number): ObjectInput {
  return {
    apiVersion: 'example.com/v1',
    kind: 'Widget',
    metadata: { namespace, name },
    spec: { size, colour: 'green' },
  }
}
