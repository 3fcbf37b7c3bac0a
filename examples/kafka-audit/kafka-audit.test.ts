/** From a real kube-apiserver over a real Kafka to the lines that the consumer prints. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import kafkajs from 'kafkajs'
import { parse } from 'yaml'
import { type BridgeProcess, startBridge } from '../../test/e2e/support/bridge-process.ts'
import { eventually } from '../../test/support/eventually.ts'
import { startApiServer, type TestApiServer } from '../../test/testbed/api-server.ts'
import { use } from '../../test/testbed/component.ts'
import {
  kafkaCertificates,
  kafka as kafkaComponent,
  kafkaUsers,
  startKafka,
  type TestKafka,
} from '../../test/testbed/kafka.ts'
import { type Program, Workspace } from '../../test/testbed/workspace.ts'

const run = promisify(execFile)
const topic = 'k8s.audit'
const deployments = '/apis/apps/v1/namespaces/default/deployments'

/** The example as it is, against this Kafka. */
async function bridgeOf(server: TestApiServer, kafka: TestKafka): Promise<BridgeProcess> {
  const config = parse(await readFile(join(import.meta.dirname, 'deltawire.yaml'), 'utf8')) as {
    readonly sinks: readonly object[]
  }
  const sinks = config.sinks.map((sink) => ({ ...sink, brokers: [kafka.bootstrap] }))
  const bridge = await startBridge({ kubeconfig: await server.kubeconfig(), config: { ...config, sinks } })
  await bridge.ready()
  return bridge
}

/** Kafka's programs under the names that they have in its distribution, as a PATH. */
async function kafkaPath(workspace: Workspace): Promise<string> {
  const lib = await use(kafkaComponent)
  const folder = join(workspace.folder, 'bin')
  await mkdir(folder)
  for (const [name, main] of [
    ['kafka-topics.sh', 'TopicCommand'],
    ['kafka-acls.sh', 'AclCommand'],
  ] as const) {
    const file = join(folder, name)
    await writeFile(file, `#!/bin/sh\nexec java -cp '${lib}/*' org.apache.kafka.tools.${main} "$@"\n`)
    await chmod(file, 0o755)
  }
  return `${folder}${delimiter}${process.env.PATH ?? ''}`
}

async function makeTopic(kafka: TestKafka, PATH: string, ...args: readonly string[]): Promise<void> {
  const env = { ...process.env, PATH, BOOTSTRAP: kafka.bootstrap, REPLICAS: '1', MIN_INSYNC: '1' }
  await run('sh', [join(import.meta.dirname, 'topic.sh'), ...args], { env })
}

/** The consumer as a program, and its lines. A new run adds to them. */
class Consumer {
  readonly #workspace: Workspace
  readonly #args: readonly string[]
  #program: Program | undefined

  constructor(workspace: Workspace, args: readonly string[]) {
    this.#workspace = workspace
    this.#args = args
  }

  start(): void {
    const file = join(import.meta.dirname, 'consumer.ts')
    const args = ['--disable-warning=TimeoutNegativeWarning', file, ...this.#args]
    // what kafkajs logs is no part of the audit
    const apart = ['-c', 'exec "$@" 2>>errors', 'sh', process.execPath]
    this.#program = this.#workspace.start('consumer', 'sh', [...apart, ...args])
  }

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    await this.#program?.end(signal)
    return this.#program?.exitCode ?? null
  }

  async lines(): Promise<readonly string[]> {
    return (await readFile(join(this.#workspace.folder, 'consumer.log'), 'utf8')).split('\n').slice(0, -1)
  }

  /** The first line that matches, as soon as it is there. */
  async line(pattern: RegExp): Promise<string> {
    const found = async () => (await this.lines()).find((line) => pattern.test(line))
    return await eventually(found, { what: `the consumer prints ${pattern}`, withinMs: 60_000 }).catch(
      async (cause: unknown) => {
        throw new Error(`the consumer did not print ${pattern}: ${(await this.lines()).slice(-20).join('\n')}`, {
          cause,
        })
      },
    )
  }
}

async function create(server: TestApiServer, name: string): Promise<void> {
  const labels = { app: name }
  const template = { metadata: { labels }, spec: { containers: [{ name: 'app', image: 'example.com/app:1' }] } }
  await server.admin.create(`${deployments}?fieldManager=helm`, {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: { replicas: 1, selector: { matchLabels: labels }, template },
  })
}

const scale = async (server: TestApiServer, name: string, replicas: number) =>
  await server.admin.patch(`${deployments}/${name}?fieldManager=kubectl`, { spec: { replicas } })

/** What is said of an object, without the times. */
const saidOf = (name: string, lines: readonly string[]) =>
  lines
    .filter((line) => line.includes(` deployments.apps default/${name}`))
    .map((line) => line.replaceAll(/\d{4}-\S+Z/g, 'TIME').replace(' my-cluster deployments.apps', ''))

test('the audit tells who changed what, loses nothing over restarts, and knows what is gone', async (t) => {
  await using server = await startApiServer()
  await using kafka = await startKafka()
  await using workspace = await Workspace.create('audit')
  await makeTopic(kafka, await kafkaPath(workspace))
  const consumer = new Consumer(workspace, ['--brokers', kafka.bootstrap])
  consumer.start()
  const bridge = await bridgeOf(server, kafka)
  await using _ = bridge

  await create(server, 'web')
  await scale(server, 'web', 3)
  await server.admin.patch(`${deployments}/web?fieldManager=a-operator`, { metadata: { labels: { tier: 'front' } } })
  await server.admin.delete(`${deployments}/web`)
  await consumer.line(/deleted .* default\/web/)
  assert.deepEqual(saidOf('web', await consumer.lines()), [
    'TIME added     default/web by helm',
    'TIME updated   default/web by kubectl /spec/replicas',
    'TIME updated   default/web by a-operator /metadata/labels',
    'TIME deleted   default/web [2 updates, written by helm, kubectl, a-operator, known since TIME]',
  ])

  // it is stopped in good order: what happens meanwhile is printed later, and nothing twice
  await create(server, 'api')
  await consumer.line(/added .* default\/api/)
  assert.equal(await consumer.end('SIGTERM'), 0)
  await scale(server, 'api', 5)
  await create(server, 'db')
  consumer.start()
  await consumer.line(/added .* default\/db/)
  await server.admin.delete(`${deployments}/api`)
  await consumer.line(/deleted .* default\/api/)
  assert.deepEqual(saidOf('api', await consumer.lines()), [
    'TIME added     default/api by helm',
    'TIME updated   default/api by kubectl /spec/replicas',
    'TIME deleted   default/api [1 update, written by helm, kubectl, known since TIME]',
  ])
  const oneEach = async () => (await consumer.lines()).length === (await kafka.appended(topic))
  await eventually(oneEach, { what: 'as many lines as records' })

  // it crashes: what it printed last may come again, nothing is missing
  await consumer.end('SIGKILL')
  await scale(server, 'db', 2)
  consumer.start()
  await consumer.line(/updated .* default\/db/)

  // Kafka crashes
  await kafka.kill()
  await server.admin.delete(`${deployments}/db`)
  await create(server, 'db')
  await kafka.start()
  const twice = async () => (await consumer.lines()).filter((line) => /added .* default\/db/.test(line)).length >= 2
  await eventually(twice, { what: 'what happened while Kafka was down is printed', withinMs: 60_000 })

  // the bridge crashes, and an object is deleted while nobody watches
  await bridge.end('SIGKILL')
  await server.admin.delete(`${deployments}/db`)
  await using again = await bridgeOf(server, kafka)
  await consumer.line(/gone .* default\/db/)
  const [gone] = saidOf('db', await consumer.lines()).slice(-1)
  assert.equal(
    gone,
    'TIME gone      default/db not in this snapshot, its delete was not seen [0 updates, written by helm]',
  )
  await again.end()
  t.diagnostic(`${await kafka.appended(topic)} records, ${(await consumer.lines()).length} lines`)
})

test('with TLS, a password and no more rights than README.md gives', async () => {
  await using kafka = await startKafka()
  await using workspace = await Workspace.create('audit')
  const PATH = await kafkaPath(workspace)
  await makeTopic(kafka, PATH)
  const readme = await readFile(join(import.meta.dirname, 'README.md'), 'utf8')
  const commands = readme.split('\n').filter((line) => line.startsWith('kafka-acls.sh'))
  assert.equal(commands.length, 2)
  for (const command of commands) {
    const words = command.replace('BROKER:9092', kafka.bootstrap).replace('User:audit', 'User:limited').split(' ')
    await run(words[0] ?? '', words.slice(1), { env: { ...process.env, PATH } })
  }
  await writeFile(join(workspace.folder, 'ca.crt'), kafkaCertificates.server.cert)
  await writeFile(join(workspace.folder, 'password'), `${kafkaUsers.limited}\n`)
  const consumer = new Consumer(workspace, [
    ...['--brokers', kafka.address('sasl-tls'), '--tls-ca', 'ca.crt'],
    ...['--sasl-username', 'limited', '--sasl-password-file', 'password'],
  ])
  consumer.start()

  const client = new kafkajs.Kafka({ brokers: [kafka.bootstrap], logLevel: kafkajs.logLevel.NOTHING })
  const producer = client.producer()
  await producer.connect()
  const event = {
    specversion: '1.0',
    id: 'a1:7',
    source: 'kubernetes://test/api/v1/configmaps',
    type: 'io.deltawire.object.added.v1',
    subject: 'shop/settings',
    time: '2026-01-01T00:00:00Z',
    cluster: 'test',
    resource: 'configmaps',
    stream: 'settings/configmaps',
    uid: 'a1',
    sequence: '00000000000000000007',
    dataschema: 'urn:deltawire:schema:object:v1',
    data: { object: {} },
  }
  const headers = { 'content-type': 'application/cloudevents+json; charset=UTF-8' }
  const value = JSON.stringify(event)
  const messages = [{ value: 'hello' }, { headers, value }].map((message) => ({ ...message, partition: 0 }))
  await producer.send({ topic, messages })
  await consumer.line(/^2026-01-01T00:00:00Z added {5}test configmaps shop\/settings$/)
  await consumer.line(/^unreadable: partition 0, offset 0: .*specversion/)
  assert.equal(await consumer.end('SIGTERM'), 0)
  assert.equal((await consumer.lines()).length, 2)

  // it is away for longer than Kafka keeps records
  await producer.send({ topic, messages })
  await producer.disconnect()
  const admin = client.admin()
  await admin.connect()
  await admin.fetchTopicOffsets(topic) // or kafkajs does not know where the partition is
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '3' }] })
  await admin.disconnect()
  consumer.start()
  await consumer.line(/^expired: partition 0: the records from 2 to before 3 were never read$/)
  assert.equal(await consumer.end('SIGTERM'), 0)
})
