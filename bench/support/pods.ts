/**
 * What a watch of pods says on a busy cluster: pods of a deployment as kubelet and the controllers write them, about 6 KB
 * each with managedFields, whose containers restart. Pure: the same number makes the same frame, in every process.
 */
import { SeededRandom } from '../../src/simulator/random.ts'

export interface PodsOptions {
  /** How many objects there are. */
  readonly objects: number
  readonly seed: number
}

/** One line of a watch response, with what it is about. */
export interface RecordedFrame {
  /** `<uid>:<resourceVersion>`, the id of its event. */
  readonly id: string
  /** With the newline at its end. */
  readonly text: string
}

type Json = { readonly [name: string]: unknown }

interface Identity {
  readonly name: string
  readonly uid: string
  readonly node: string
  readonly ip: string
}

const START = Date.parse('2026-03-01T08:00:00Z')

export class Pods {
  readonly #identities: readonly Identity[]
  /** In which order they change, again and again. */
  readonly #order: readonly number[]
  readonly #seed: number

  constructor({ objects, seed }: PodsOptions) {
    const random = new SeededRandom(seed)
    this.#seed = seed
    this.#identities = Array.from({ length: objects }, (_, index) => identityOf(random, index))
    const order = this.#identities.map((_, index) => index)
    for (let last = order.length - 1; last > 0; last--) {
      const other = random.below(last + 1)
      const [a = 0, b = 0] = [order[last], order[other]]
      order[last] = b
      order[other] = a
    }
    this.#order = order
  }

  /** The answer to a LIST, before any update. */
  list(): string {
    return JSON.stringify({ kind: 'PodList', apiVersion: 'v1', metadata: this.#position, items: this.#first() })
  }

  /** The same as a watch that begins with it says it. */
  initialEvents(): string {
    const metadata = { ...this.#position, annotations: { 'k8s.io/initial-events-end': 'true' } }
    const end = { type: 'BOOKMARK', object: { kind: 'Pod', apiVersion: 'v1', metadata } }
    const frames = [...this.#first().map((object) => ({ type: 'ADDED', object })), end]
    return frames.map((frame) => `${JSON.stringify(frame)}\n`).join('')
  }

  /** The update with this number; 0 is the first one after the list. */
  update(number: number): RecordedFrame {
    const count = this.#identities.length
    const identity = this.#identities[this.#order[number % count] ?? 0]
    if (!identity) throw new RangeError('there are no pods')
    const resourceVersion = count + 1 + number
    const object = podOf(identity, 1 + Math.floor(number / count), resourceVersion)
    return { id: `${identity.uid}:${resourceVersion}`, text: `${JSON.stringify({ type: 'MODIFIED', object })}\n` }
  }

  /** A new pod, instead of the update with this number. */
  create(number: number): RecordedFrame {
    const index = this.#identities.length + number
    const identity = identityOf(new SeededRandom(this.#seed + index), index)
    const resourceVersion = index + 1
    const text = `${JSON.stringify({ type: 'ADDED', object: podOf(identity, 0, resourceVersion) })}\n`
    return { id: `${identity.uid}:${resourceVersion}`, text }
  }

  get #position(): { readonly resourceVersion: string } {
    return { resourceVersion: `${this.#identities.length}` }
  }

  #first(): readonly Json[] {
    return this.#identities.map((identity, index) => podOf(identity, 0, index + 1))
  }
}

function identityOf(random: SeededRandom, index: number): Identity {
  return {
    name: `checkout-${random.nameSuffix(9)}-${random.nameSuffix()}`,
    uid: random.uid(),
    node: `ip-10-0-${index % 32}-${random.below(250)}.eu-central-1.compute.internal`,
    ip: `10.244.${index >> 8}.${index & 255}`,
  }
}

function podOf({ name, uid, node, ip }: Identity, restarts: number, resourceVersion: number): Json {
  const created = timeAt(0)
  const now = timeAt(resourceVersion)
  const hash = name.split('-')[1]
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      generateName: `checkout-${hash}-`,
      namespace: 'shop',
      uid,
      resourceVersion: `${resourceVersion}`,
      generation: 1,
      creationTimestamp: created,
      labels: {
        'app.kubernetes.io/component': 'api',
        'app.kubernetes.io/instance': 'checkout',
        'app.kubernetes.io/name': 'checkout',
        'app.kubernetes.io/version': '4.17.2',
        'pod-template-hash': hash,
      },
      annotations: {
        'prometheus.io/path': '/metrics',
        'prometheus.io/port': '9090',
        'prometheus.io/scrape': 'true',
        'kubectl.kubernetes.io/restartedAt': created,
      },
      ownerReferences: [
        {
          apiVersion: 'apps/v1',
          kind: 'ReplicaSet',
          name: `checkout-${hash}`,
          uid: '5b0a6e0e-8d2f-4c5a-9a50-0a4be5a1c7d1',
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
      managedFields: managedFields(created, now),
    },
    spec: specOn(node),
    status: statusOf({ node: node.slice(3, 12).replaceAll('-', '.'), ip, restarts, created, now }),
  }
}

function specOn(nodeName: string): Json {
  const probe = (path: string) => ({
    httpGet: { path, port: 'http', scheme: 'HTTP' },
    timeoutSeconds: 1,
    periodSeconds: 10,
    successThreshold: 1,
    failureThreshold: 3,
  })
  return {
    volumes: [
      { name: 'config', configMap: { name: 'checkout-config', defaultMode: 420 } },
      { name: 'tmp', emptyDir: {} },
      {
        name: 'kube-api-access-x7k2p',
        projected: {
          sources: [
            { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } },
            { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
            {
              downwardAPI: {
                items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
              },
            },
          ],
          defaultMode: 420,
        },
      },
    ],
    containers: [
      {
        name: 'checkout',
        image: 'registry.example.com/shop/checkout:4.17.2',
        ports: [
          { name: 'http', containerPort: 8080, protocol: 'TCP' },
          { name: 'metrics', containerPort: 9090, protocol: 'TCP' },
        ],
        env: [
          { name: 'POD_NAME', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.name' } } },
          { name: 'LOG_LEVEL', value: 'info' },
          { name: 'UPSTREAM_URL', value: 'http://payments.shop.svc.cluster.local:8080' },
          { name: 'GOMEMLIMIT', value: '450MiB' },
          { name: 'DATABASE_URL', valueFrom: { secretKeyRef: { name: 'checkout-db', key: 'url' } } },
        ],
        resources: { limits: { memory: '512Mi' }, requests: { cpu: '250m', memory: '512Mi' } },
        volumeMounts: [
          { name: 'config', readOnly: true, mountPath: '/etc/checkout' },
          { name: 'tmp', mountPath: '/tmp' },
          { name: 'kube-api-access-x7k2p', readOnly: true, mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' },
        ],
        livenessProbe: probe('/livez'),
        readinessProbe: probe('/readyz'),
        terminationMessagePath: '/dev/termination-log',
        terminationMessagePolicy: 'File',
        imagePullPolicy: 'IfNotPresent',
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        },
      },
    ],
    restartPolicy: 'Always',
    terminationGracePeriodSeconds: 30,
    dnsPolicy: 'ClusterFirst',
    serviceAccountName: 'checkout',
    serviceAccount: 'checkout',
    nodeName,
    securityContext: { runAsUser: 10001, runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    schedulerName: 'default-scheduler',
    tolerations: ['not-ready', 'unreachable'].map((what) => ({
      key: `node.kubernetes.io/${what}`,
      operator: 'Exists',
      effect: 'NoExecute',
      tolerationSeconds: 300,
    })),
    priority: 0,
    enableServiceLinks: true,
    preemptionPolicy: 'PreemptLowerPriority',
  }
}

interface StatusFacts {
  readonly node: string
  readonly ip: string
  readonly restarts: number
  readonly created: string
  readonly now: string
}

function statusOf({ node, ip, restarts, created, now }: StatusFacts): Json {
  const isReady = restarts % 2 === 0
  const image = 'sha256:3b1f8e1b52b9ad4f6b4b1f8f8e7f3b0f4f6f6f2a9c1d6e5b7a8d9c0e1f2a3b4c'
  const condition = (type: string, status: boolean, lastTransitionTime: string) => ({
    type,
    observedGeneration: 1,
    status: status ? 'True' : 'False',
    lastProbeTime: null,
    lastTransitionTime,
    ...(!status && { reason: 'ContainersNotReady', message: 'containers with unready status: [checkout]' }),
  })
  return {
    observedGeneration: 1,
    phase: 'Running',
    conditions: [
      condition('PodReadyToStartContainers', true, created),
      condition('Initialized', true, created),
      condition('Ready', isReady, now),
      condition('ContainersReady', isReady, now),
      condition('PodScheduled', true, created),
    ],
    hostIP: node,
    hostIPs: [{ ip: node }],
    podIP: ip,
    podIPs: [{ ip }],
    startTime: created,
    containerStatuses: [
      {
        name: 'checkout',
        state: { running: { startedAt: now } },
        lastState:
          restarts === 0
            ? {}
            : {
                terminated: {
                  exitCode: 137,
                  reason: 'OOMKilled',
                  startedAt: created,
                  finishedAt: now,
                  containerID: `containerd://${image.slice(7)}`,
                },
              },
        ready: isReady,
        restartCount: restarts,
        image: 'registry.example.com/shop/checkout:4.17.2',
        imageID: `registry.example.com/shop/checkout@${image}`,
        containerID: `containerd://${image.slice(7)}`,
        started: true,
      },
    ],
    qosClass: 'Burstable',
  }
}

/** What the controller manager and kubelet own, field by field. */
function managedFields(created: string, now: string): readonly Json[] {
  const owned = (...names: readonly string[]) => Object.fromEntries(names.map((name) => [`f:${name}`, {}]))
  const condition = (type: string) => [
    `k:{"type":"${type}"}`,
    { '.': {}, ...owned('lastProbeTime', 'lastTransitionTime', 'observedGeneration', 'status', 'type') },
  ]
  const byController = {
    'f:metadata': {
      'f:annotations': { '.': {}, ...owned('prometheus.io/path', 'prometheus.io/port', 'prometheus.io/scrape') },
      'f:generateName': {},
      'f:labels': { '.': {}, ...owned('app.kubernetes.io/name', 'app.kubernetes.io/version', 'pod-template-hash') },
      'f:ownerReferences': { '.': {}, 'k:{"uid":"5b0a6e0e-8d2f-4c5a-9a50-0a4be5a1c7d1"}': {} },
    },
    'f:spec': {
      'f:containers': {
        'k:{"name":"checkout"}': {
          '.': {},
          ...owned('image', 'imagePullPolicy', 'livenessProbe', 'name', 'readinessProbe', 'terminationMessagePath'),
          'f:env': { '.': {}, 'k:{"name":"LOG_LEVEL"}': { '.': {}, ...owned('name', 'value') } },
          'f:resources': {
            '.': {},
            'f:limits': { '.': {}, 'f:memory': {} },
            'f:requests': { '.': {}, ...owned('cpu', 'memory') },
          },
        },
      },
      ...owned('dnsPolicy', 'enableServiceLinks', 'restartPolicy', 'schedulerName', 'serviceAccountName'),
    },
  }
  const byKubelet = {
    'f:status': {
      'f:conditions': Object.fromEntries(
        ['ContainersReady', 'Initialized', 'PodReadyToStartContainers', 'Ready'].map(condition),
      ),
      ...owned('containerStatuses', 'hostIP', 'hostIPs', 'phase', 'podIP', 'startTime'),
      'f:podIPs': { '.': {}, 'k:{"ip":"10.244.3.17"}': { '.': {}, 'f:ip': {} } },
    },
  }
  const entry = { operation: 'Update', apiVersion: 'v1', fieldsType: 'FieldsV1' }
  return [
    { manager: 'kube-controller-manager', ...entry, time: created, fieldsV1: byController },
    { manager: 'kubelet', ...entry, time: now, fieldsV1: byKubelet, subresource: 'status' },
  ]
}

/** A hundred changes a second, as the server writes times. */
function timeAt(resourceVersion: number): string {
  return new Date(START + Math.floor(resourceVersion / 100) * 1000).toISOString().replace('.000', '')
}
