/** From nothing to events: the image and the chart of this checkout on a real cluster, with both versions of Helm. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { compare } from '../e2e/support/oracle.ts'
import { eventually } from '../support/eventually.ts'
import { type Cluster, startCluster } from '../testbed/cluster/cluster.ts'
import type { Component } from '../testbed/component.ts'
import { helm3, helm4 } from '../testbed/helm.ts'
import { productImage } from '../testbed/image.ts'
import { startKafka, type TestKafka } from '../testbed/kafka.ts'
import { awsEnvironment, type Moto, REGION, startMoto } from '../testbed/moto.ts'
import { startReceiver } from '../testbed/receiver.ts'
import { ofRecord, ofRule } from './support/arrivals.ts'
import { Helm } from './support/helm.ts'

const NAMESPACE = 'deltawire'
const RELEASE = 'audit'

const started = performance.now()
const seconds = (since: number) => `${((performance.now() - since) / 1000).toFixed(1)} s`
const resources = new AsyncDisposableStack()
let cluster: Cluster
let kafka: TestKafka
let moto: Moto

before(async () => {
  const image = await productImage()
  console.log(`the image is built: ${seconds(started)}`)
  cluster = resources.use(await startCluster({ report: (step) => console.log(`${step}: ${seconds(started)}`) }))
  await cluster.importImage(image.archive)
  const host = cluster.address
  ;[kafka, moto] = await Promise.all([startKafka({ host }), startMoto({ host })])
  resources.use(kafka)
  resources.use(moto)
  console.log(`Kafka and moto serve: ${seconds(started)}`)
  await cluster.admin.createNamespace('shop')
  const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' }
  await cluster.admin.create('/api/v1/namespaces', { metadata: { name: NAMESPACE, labels } })
  for (const [name, stringData] of Object.entries({ aws: awsEnvironment, receiver: { token: 'a-token' } }))
    await cluster.admin.create(`/api/v1/namespaces/${NAMESPACE}/secrets`, { metadata: { name }, stringData })
})

after(() => resources.disposeAsync())

for (const component of [helm3, helm4]) {
  test(`P1 P2 installed with ${component.name}, every change of pods is in Kafka, behind a rule and at a webhook`, async (t) => {
    const { name } = component
    await using receiver = await startReceiver({ host: cluster.address })
    await kafka.createTopic(name, { partitions: 3 })
    await moto.createBus(name)
    const queue = await moto.createRule({
      bus: name,
      name,
      pattern: { 'detail-type': [{ prefix: 'io.deltawire.object.' }], detail: { namespace: ['shop'] } },
    })
    const before = new Set(await everything())

    await using helm = await Helm.create(component, cluster)
    const installing = performance.now()
    await helm.install(RELEASE, NAMESPACE, values(name, receiver.url))
    t.diagnostic(`${await version(component, helm)}: helm install --wait took ${seconds(installing)}`)
    await receiver.until(1)
    t.diagnostic(`first event ${seconds(installing)} after helm install began, ${seconds(started)} after nothing`)
    assert.match(await helm.test(RELEASE, NAMESPACE), /Succeeded/)

    const recorder = await cluster.record((await cluster.revision()) + 1n)
    await work()
    const history = await recorder.until(await cluster.revision(), 'pods/shop/')
    assert.ok(history.length > 30, `${history.length} versions`)

    const arrivals = {
      webhook: async () => await receiver.events(),
      kafka: async () => (await kafka.consoleConsumer(name)).map(ofRecord),
      eventbridge: async () => ofRule(await queue.events()),
    }
    const whole = {
      problems: [],
      versions: history.length,
      delivered: history.length,
      collapsed: 0,
      unseen: 0,
      gaps: 0,
    }
    for (const [sink, arrived] of Object.entries(arrivals)) {
      const all = async () => compare(history, await arrived()).delivered === history.length
      await eventually(all, { what: `all has arrived at ${sink}`, withinMs: 30_000 }).catch(() => undefined)
      const { duplicates, ...result } = compare(history, await arrived())
      t.diagnostic(`${sink}: ${JSON.stringify({ ...result, duplicates })}`)
      assert.deepEqual(result, whole)
    }
    t.diagnostic(await footprint())

    await helm.uninstall(RELEASE, NAMESPACE)
    const left = async () => (await everything()).filter((name) => !before.has(name))
    // Helm 3 does not wait for the pod, which drains
    await eventually(async () => (await left()).length === 0, { what: 'it is gone' }).catch(() => undefined)
    assert.deepEqual(await left(), [], 'uninstalled, it leaves nothing')
  })
}

/** All three sinks, credentials as a file and by the environment. */
function values(name: string, url: string): object {
  return {
    config: {
      cluster: 'test',
      sources: [{ name: 'pods', resources: ['pods'] }],
      sinks: [
        { name: 'audit', type: 'kafka', brokers: [kafka.bootstrap], topic: name },
        { name: 'lambdas', type: 'eventbridge', region: REGION, bus: name, endpoint: moto.url },
        {
          name: 'functions',
          type: 'webhook',
          url,
          insecureHttp: true,
          auth: { bearer: { file: '/etc/deltawire/credentials/receiver/token' } },
        },
      ],
    },
    credentials: { existingSecrets: ['receiver'] },
    extraEnvFrom: [{ secretRef: { name: 'aws' } }],
  }
}

/** A deployment from 0 to 5 pods and back, and a pod that crashes again and again. */
async function work(): Promise<void> {
  const { admin, image } = cluster
  const pod = (command?: readonly string[]) => ({
    terminationGracePeriodSeconds: 1,
    containers: [{ name: 'main', image, ...(command && { command }) }],
  })
  await admin.create('/api/v1/namespaces/shop/pods', { metadata: { name: 'crash' }, spec: pod(['false']) })
  const labels = { app: 'web' }
  const deployments = '/apis/apps/v1/namespaces/shop/deployments'
  const template = { metadata: { labels }, spec: pod() }
  await admin.create(deployments, {
    metadata: { name: 'web' },
    spec: { replicas: 0, selector: { matchLabels: labels }, template },
  })
  const scale = async (replicas: number) => {
    await admin.patch(`${deployments}/web`, { spec: { replicas } })
    const query = ['get', 'pods', '-n', 'shop', '-l', 'app=web', '-o', 'jsonpath={.items[*].status.phase}']
    const phases = async () => (await cluster.kubectl(...query)).split(' ').filter((phase) => phase !== '')
    const scaled = async () => {
      const found = await phases()
      return found.length === replicas && found.every((phase) => phase === 'Running')
    }
    await eventually(scaled, { what: `${replicas} pods run`, withinMs: 60_000 })
  }
  await scale(5)
  await scale(0)
  const status = [
    'get',
    'pod',
    'crash',
    '-n',
    'shop',
    '-o',
    'jsonpath={.status.containerStatuses[0].state.waiting.reason}',
  ]
  const loops = async () => (await cluster.kubectl(...status)) === 'CrashLoopBackOff'
  await eventually(loops, { what: 'the pod is in CrashLoopBackOff', withinMs: 60_000 })
  await admin.delete('/api/v1/namespaces/shop/pods/crash')
  await admin.delete(`${deployments}/web`)
  const gone = async () => (await cluster.kubectl('get', 'pods', '-n', 'shop', '-o', 'name')) === ''
  await eventually(gone, { what: 'the pods are gone', withinMs: 60_000 })
}

/** Every object of the release's namespace and of the cluster, but for records of what happened. */
async function everything(): Promise<readonly string[]> {
  const names = async (namespaced: boolean) => {
    const listed = await cluster.kubectl('api-resources', '--verbs=list', `--namespaced=${namespaced}`, '-o', 'name')
    return listed.split('\n').filter((name) => name !== '' && !name.startsWith('events'))
  }
  const inNamespace = await cluster.kubectl('get', (await names(true)).join(), '-n', NAMESPACE, '-o', 'name')
  const inCluster = await cluster.kubectl('get', (await names(false)).join(), '-o', 'name')
  return `${inNamespace}${inCluster}`.split('\n')
}

/** What the idle pod takes. */
async function footprint(): Promise<string> {
  const selector = `-l=app.kubernetes.io/instance=${RELEASE}`
  const [pod = ''] = (await cluster.kubectl('get', 'pods', '-n', NAMESPACE, selector, '-o', 'name')).split('\n')
  const path = `/api/v1/namespaces/${NAMESPACE}/${pod.replace('pod/', 'pods/')}:8080/proxy/metrics`
  const metrics = await cluster.kubectl('get', '--raw', path)
  const bytes = Number(/^process_resident_memory_bytes (\S+)$/m.exec(metrics)?.[1])
  return `memory of the idle process: ${Math.round(bytes / 2 ** 20)} MiB`
}

async function version({ name }: Component, helm: Helm): Promise<string> {
  return `${name} ${(await helm.run('version', '--template={{ .Version }}')).trim()}`
}
