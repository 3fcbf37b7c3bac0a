import type { KubeObject } from '../kube/object.ts'
import { sleep } from '../lib/abort.ts'
import type { Clock } from '../lib/clock.ts'
import { type JsonObject, objectAt, stringAt } from './json.ts'
import { SeededRandom } from './random.ts'
import {
  configMap,
  deployment,
  kubeEvent,
  node,
  nodeStatus,
  pod,
  podStatus,
  replicaSet,
  type Workload,
  widget,
  widgetDefinition,
} from './scenario-objects.ts'
import type { Simulator } from './simulator.ts'

/** Pause between two changes within one step, in ms. */
const CHANGE_MS = 150
const NODES = ['ip-10-0-1-11', 'ip-10-0-1-12', 'ip-10-0-1-13']
const CONTROLLER = { manager: 'kube-controller-manager' }

interface Running {
  workload: Workload
  readonly deployment: KubeObject
  replicaSet: KubeObject
  hash: string
  pods: KubeObject[]
}

/** What controllers, scheduler and kubelets would do, done to the simulator's objects. */
export class ScenarioCluster {
  readonly #simulator: Simulator
  readonly #clock: Clock
  readonly #signal: AbortSignal
  readonly #random = new SeededRandom(20)
  readonly #running = new Map<string, Running>()
  #addresses = 0

  constructor(simulator: Simulator, clock: Clock, signal: AbortSignal) {
    this.#simulator = simulator
    this.#clock = clock
    this.#signal = signal
  }

  /** The cluster before the first round: all of it is there when a watcher first lists. */
  setUp(): void {
    for (const name of ['shop', 'payments'])
      this.#simulator.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
    this.#simulator.create(widgetDefinition)
    for (const [index, name] of NODES.entries()) {
      const ip = `10.0.1.${11 + index}`
      this.#simulator.create(node(name, ip), { manager: 'kubelet' })
      this.#simulator.patchStatus(
        { apiVersion: 'v1', kind: 'Node', metadata: { name } },
        nodeStatus(name, ip, this.#now()),
        { manager: 'kubelet' },
      )
    }
    for (const namespace of ['shop', 'payments']) {
      const data = { url: Buffer.from('postgres://app@db/main').toString('base64') }
      this.#simulator.create({
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { namespace, name: 'database' },
        type: 'Opaque',
        data,
      })
    }
    this.#simulator.create(configMap('shop', 'web-config', { revision: '0', 'features.json': '{"checkout":"v1"}' }))
    this.#deploy({ namespace: 'shop', name: 'web', image: 'registry.example.com/web:1.0.0', port: 8080 }, 3)
    this.#deploy({ namespace: 'payments', name: 'worker', image: 'registry.example.com/worker:4.2.1', port: 9090 }, 2)
  }

  async rollOut(name: string, image: string): Promise<void> {
    const running = this.#get(name)
    const old = running.pods
    const oldSet = running.replicaSet
    running.workload = { ...running.workload, image }
    running.hash = this.#hash()
    running.pods = []
    this.#simulator.patch(
      running.deployment,
      { spec: { template: { spec: { containers: [{ name, image }] } } } },
      { manager: 'kubectl', type: 'strategic' },
    )
    running.replicaSet = this.#simulator.create(
      replicaSet(running.workload, running.hash, old.length, running.deployment),
      CONTROLLER,
    )
    for (const [index, replaced] of old.entries()) {
      await this.#startPod(running)
      this.#simulator.patch(oldSet, { spec: { replicas: old.length - index - 1 } }, CONTROLLER)
      await this.#stopPod(replaced)
    }
    this.#simulator.delete(oldSet)
    this.#report(running)
  }

  /** The first container exits `times` times. In the end the pod waits in CrashLoopBackOff. */
  async crash(name: string, times: number): Promise<void> {
    const running = this.#get(name)
    const victim = running.pods[0]
    if (!victim) return
    for (let restartCount = 1; restartCount <= times; restartCount++) {
      const terminated = { exitCode: 1, reason: 'Error', startedAt: this.#now(), finishedAt: this.#now() }
      await this.#change()
      this.#setStatus(running, victim, { restartCount: restartCount - 1, ready: false, state: { terminated } })
      const message = `back-off ${10 * 2 ** (restartCount - 1)}s restarting failed container=${name}`
      const waiting = { reason: 'CrashLoopBackOff', message }
      await this.#change()
      this.#setStatus(running, victim, { restartCount, ready: false, state: { waiting }, lastState: { terminated } })
      this.#simulator.create(kubeEvent(victim, 'BackOff', message, this.#now()), { manager: 'kubelet' })
      if (restartCount === times) return
      await this.#change()
      this.#setStatus(running, victim, {
        restartCount,
        ready: true,
        state: { running: { startedAt: this.#now() } },
        lastState: { terminated },
      })
    }
  }

  configure(revision: number): void {
    const data = { revision: String(revision), 'features.json': `{"checkout":"v${revision + 1}"}` }
    const reference = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'shop', name: 'web-config' } }
    this.#simulator.patch(reference, { data }, { manager: 'kubectl' })
  }

  async playWidgets(round: number): Promise<void> {
    const created = this.#simulator.create(widget('shop', `gizmo-${round}`, 1), { manager: 'kubectl' })
    await this.#change()
    this.#simulator.patch(created, { spec: { size: 5 } }, { manager: 'kubectl' })
    await this.#change()
    this.#simulator.patchStatus(created, { ready: true, observedGeneration: 2 }, { manager: 'widget-operator' })
    const previous = { ...created, metadata: { namespace: 'shop', name: `gizmo-${round - 1}` } }
    if (round > 1) this.#simulator.delete(previous)
  }

  async scale(name: string, replicas: number): Promise<void> {
    const running = this.#get(name)
    this.#simulator.patch(running.deployment, { spec: { replicas } }, { manager: 'kubectl' })
    this.#simulator.patch(running.replicaSet, { spec: { replicas } }, CONTROLLER)
    while (running.pods.length < replicas) await this.#startPod(running)
    while (running.pods.length > replicas) {
      const last = running.pods.pop()
      if (last) await this.#stopPod(last)
    }
    this.#report(running)
  }

  /** Watchers are sent away with a 410, and what they miss is the end of a pod: only a list can tell them. */
  async forceRelist(name: string): Promise<void> {
    const running = this.#get(name)
    this.#simulator.dropHistory()
    const victim = running.pods.shift()
    if (victim) this.#simulator.delete(victim, { gracePeriodSeconds: 0 })
    await this.#change()
  }

  #deploy(workload: Workload, replicas: number): void {
    const owner = this.#simulator.create(deployment(workload, replicas), { manager: 'kubectl' })
    const hash = this.#hash()
    const set = this.#simulator.create(replicaSet(workload, hash, replicas, owner), CONTROLLER)
    const running: Running = { workload, deployment: owner, replicaSet: set, hash, pods: [] }
    this.#running.set(workload.name, running)
    for (let index = 0; index < replicas; index++) {
      const created = this.#createPod(running)
      this.#bind(created)
      this.#setReady(running, created)
    }
    this.#report(running)
  }

  async #startPod(running: Running): Promise<void> {
    const created = this.#createPod(running)
    await this.#change()
    this.#bind(created)
    await this.#change()
    this.#setStatus(running, created, {
      restartCount: 0,
      ready: false,
      state: { waiting: { reason: 'ContainerCreating' } },
    })
    await this.#change()
    this.#setReady(running, created)
    this.#report(running)
  }

  /** As a kubelet ends a pod: first it is terminating, then its container has exited, then it is gone. */
  async #stopPod(target: KubeObject): Promise<void> {
    this.#simulator.delete(target)
    await this.#change()
    this.#simulator.delete(target, { gracePeriodSeconds: 0 })
  }

  #createPod(running: Running): KubeObject {
    const created = this.#simulator.create(
      pod(running.workload, running.replicaSet, { 'pod-template-hash': running.hash }),
      CONTROLLER,
    )
    running.pods.push(created)
    return created
  }

  #bind(target: KubeObject): void {
    const nodeName = NODES[this.#random.below(NODES.length)]
    this.#simulator.patch(target, { spec: { nodeName } }, { manager: 'kube-scheduler' })
    const conditions = [{ type: 'PodScheduled', status: 'True', lastProbeTime: null, lastTransitionTime: this.#now() }]
    this.#simulator.patchStatus(target, { conditions }, { manager: 'kube-scheduler' })
  }

  #setReady(running: Running, target: KubeObject): void {
    this.#setStatus(running, target, { restartCount: 0, ready: true, state: { running: { startedAt: this.#now() } } })
  }

  #setStatus(running: Running, target: KubeObject, container: Parameters<typeof podStatus>[2]): void {
    const current: JsonObject = this.#simulator.get(target)
    const nodeName = stringAt(objectAt(current, 'spec'), 'nodeName') ?? ''
    const hostIP = `10.0.1.${nodeName.split('-').at(-1)}`
    const waiting = objectAt(container.state, 'waiting')
    const podIP =
      waiting.reason === 'ContainerCreating'
        ? undefined
        : (stringAt(objectAt(current, 'status'), 'podIP') ?? this.#address())
    const at = { hostIP, now: this.#now(), ...(podIP === undefined ? {} : { podIP }) }
    this.#simulator.patchStatus(target, podStatus(running.workload, at, container), { manager: 'kubelet' })
  }

  /** What the controllers write into the status of the ReplicaSet and the Deployment. */
  #report({ deployment: owner, replicaSet: set, pods }: Running): void {
    const replicas = pods.length
    const counts = { replicas, readyReplicas: replicas, availableReplicas: replicas }
    this.#simulator.patchStatus(set, { ...counts, fullyLabeledReplicas: replicas }, CONTROLLER)
    this.#simulator.patchStatus(owner, { ...counts, updatedReplicas: replicas }, CONTROLLER)
  }

  #get(name: string): Running {
    const running = this.#running.get(name)
    if (!running) throw new RangeError(`no workload ${name} in the scenario`)
    return running
  }

  #change(): Promise<void> {
    return sleep(CHANGE_MS, this.#clock, this.#signal)
  }

  #hash(): string {
    return this.#random.nameSuffix(10)
  }

  #address(): string {
    return `10.244.${this.#random.below(3)}.${10 + (this.#addresses++ % 240)}`
  }

  #now(): string {
    return `${this.#clock.now().toISOString().slice(0, 19)}Z`
  }
}
