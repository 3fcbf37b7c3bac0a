/** What Kafka can never take, among what it takes: too large for the topic, and of no topic at all. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventually } from '../support/eventually.ts'
import { startApiServer, type TestApiServer } from '../testbed/api-server.ts'
import { startKafka, type TestKafka } from '../testbed/kafka.ts'
import { Workspace } from '../testbed/workspace.ts'
import { type BridgeProcess, startBridge } from './support/bridge-process.ts'
import { dlq, listed } from './support/dlq.ts'

/** With the name of its resource, too long for the name of a topic. */
const GROUP = `${'long.'.repeat(46)}example.com`
const SMALL = 60
const LARGE_VALUE = 'x'.repeat(10_000)

async function createThings({ admin }: TestApiServer): Promise<void> {
  const schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }
  await admin.create('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', {
    ...{
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: `things.${GROUP}` },
    },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      names: { plural: 'things', kind: 'Thing' },
      versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: schema } }],
    },
  })
  const served = async () => (await admin.get(`/apis/${GROUP}/v1/things`)) !== undefined
  await eventually(served, { what: 'the things are served' })
}

async function write({ admin }: TestApiServer): Promise<void> {
  const configMap = (name: string, text: string) => ({ metadata: { name }, data: { text } })
  const create = (object: object) => admin.create('/api/v1/namespaces/default/configmaps', object)
  for (let n = 0; n < SMALL; n++) {
    await create(configMap(`small-${n}`, `${n}`))
    if (n % 30 !== 15) continue
    await create(configMap(`large-${n}`, LARGE_VALUE))
    const head = { apiVersion: `${GROUP}/v1`, kind: 'Thing' }
    await admin.create(`/apis/${GROUP}/v1/namespaces/default/things`, { ...head, metadata: { name: `thing-${n}` } })
  }
}

const reasons = [
  ['default/large-15', 'too-large'],
  ['default/large-45', 'too-large'],
  ['default/thing-15', 'malformed'],
  ['default/thing-45', 'malformed'],
]

async function givenUp(bridge: BridgeProcess): Promise<readonly (readonly [string, string])[]> {
  const letters = await listed(bridge)
  return letters.map(({ attributes, code }) => [attributes.subject, code] as const).sort(([a], [b]) => (a < b ? -1 : 1))
}

/** Subject -> length of the record's value. */
async function held(kafka: TestKafka, topic: string): Promise<ReadonlyMap<string | null, number>> {
  const records = await kafka.consoleConsumer(topic)
  const lengths = new Map(records.map(({ headers, value }) => [headers.ce_subject ?? null, value?.length ?? 0]))
  assert.equal(lengths.size, records.length, 'each is there once')
  return lengths
}

test('P1 what is too large for a topic, or has none, is given up alone, and delivered once limit and name are right', async () => {
  await using server = await startApiServer()
  await using kafka = await startKafka()
  await using workspace = await Workspace.create('poison')
  await createThings(server)
  await kafka.createTopic('k8s.configmaps', { config: { 'max.message.bytes': '4000' } })
  await kafka.createTopic('k8s')
  const kubeconfig = await server.kubeconfig()
  const start = async (topic: string) => {
    const bridge = await startBridge({
      kubeconfig,
      config: {
        sources: [{ name: 'all', resources: ['configmaps', `things.v1.${GROUP}`], namespaces: ['default'] }],
        routes: [{ name: 'new', on: ['added'], to: ['log'] }],
        // compacted: no smaller form may stand for an object
        sinks: [
          { name: 'log', type: 'kafka', brokers: [kafka.bootstrap], topic, compression: 'none', compacted: true },
        ],
        deadLetters: { path: join(workspace.folder, 'letters') },
      },
    })
    await bridge.ready()
    return bridge
  }
  {
    await using bridge = await start('k8s.{resource}')
    await write(server)
    await eventually(async () => (await kafka.appended('k8s.configmaps')) >= SMALL, { what: 'all others are there' })
    const kept = () => bridge.metric('deltawire_dead_letters_kept')
    await eventually(async () => (await kept()) >= reasons.length, { what: 'the others are given up' })
    assert.deepEqual(await givenUp(bridge), reasons)
    assert.equal((await held(kafka, 'k8s.configmaps')).size, SMALL)

    await kafka.configure({ type: 'topic', name: 'k8s.configmaps' }, { 'max.message.bytes': '1048588' })
    const again = await dlq(bridge, 'replay', '--all')
    assert.deepEqual([again.code, again.err], [1, '2 delivered, 2 given up again\n'], again.out)
    assert.deepEqual(await givenUp(bridge), reasons.slice(2))
    const lengths = await held(kafka, 'k8s.configmaps')
    assert.equal(lengths.size, SMALL + 2)
    for (const n of [15, 45]) {
      assert.ok((lengths.get(`default/large-${n}`) ?? 0) > LARGE_VALUE.length, 'as a whole')
    }
    assert.equal(await bridge.end('SIGTERM'), 0)
  }

  await using bridge = await start('k8s')
  const { code, out, err } = await dlq(bridge, 'replay', '--all')
  assert.deepEqual([code, err], [0, '2 delivered\n'], out)
  assert.deepEqual([...(await held(kafka, 'k8s')).keys()].sort(), ['default/thing-15', 'default/thing-45'])
  assert.deepEqual(await givenUp(bridge), [])
  assert.equal(await bridge.end('SIGTERM'), 0)
})
