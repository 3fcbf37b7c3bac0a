/** The image, built from the Dockerfile and run as a cluster runs it. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { createGzip } from 'node:zlib'
import { LineTarget } from '../../examples/custom-sink/line-target.ts'
import packageJson from '../../package.json' with { type: 'json' }
import type { sinkTypes } from '../../sinks/index.ts'
import { startApiServer, type TestApiServer } from '../testbed/api-server.ts'
import { type Container, UnpackedImage } from '../testbed/container.ts'
import { type Image, productImage, productSource, writeImage } from '../testbed/image.ts'
import { startKafka } from '../testbed/kafka.ts'
import { REGION, startMoto } from '../testbed/moto.ts'
import { startReceiver } from '../testbed/receiver.ts'

const run = promisify(execFile)
const MB = 1_000_000
const ADDED = 'io.deltawire.object.added.v1'

let image: Image
let unpacked: UnpackedImage

before(async () => {
  image = await productImage()
  unpacked = await UnpackedImage.unpack(image.archive)
})

after(async () => {
  await unpacked?.[Symbol.asyncDispose]()
})

const version = `deltawire ${packageJson.version}, node ${packageJson.devDependencies.node}\n`

test('it starts as any user, with a read-only root and neither capabilities nor network', async () => {
  assert.deepEqual(await unpacked.run({ args: ['version'] }), { exitCode: 0, output: version })
})

test('deltawire is on its PATH, for commands in a running pod', async () => {
  assert.deepEqual(await unpacked.run({ command: ['deltawire'], args: ['version'] }), { exitCode: 0, output: version })
})

test('its process may not make code from text, nor change what all objects inherit', async () => {
  const code = 'console.log(typeof ({}).__proto__); try { new Function("") } catch ({ name }) { console.log(name) }'
  const command = unpacked.config.Entrypoint.slice(0, -1)
  assert.deepEqual(await unpacked.run({ command, args: ['--eval', code] }), {
    exitCode: 0,
    output: 'undefined\nEvalError\n',
  })
})

test('its heap may take 70 % of the memory that the container may use', async () => {
  const code = 'console.log(v8.getHeapStatistics().heap_size_limit / 2 ** 20)'
  const command = unpacked.config.Entrypoint.slice(0, -1)
  const limit = async (mebibytes: number) => {
    const { output } = await unpacked.run({ command, args: ['--eval', code], memoryBytes: mebibytes * 2 ** 20 })
    return Number(output)
  }
  const [small, large] = [await limit(256), await limit(512)]
  // the limit that V8 tells holds its young generation as well
  assert.equal(Math.round((large - small) / 256 / 0.7), 1, `${small} MiB of 256, ${large} MiB of 512`)
})

test('it holds no shell, no package manager and no packages, and nothing of it is writable', async () => {
  const listed = await Promise.all(unpacked.layers.map((layer) => run('tar', ['--list', '--verbose', '--file', layer])))
  const lines = listed.flatMap(({ stdout }) => stdout.trim().split('\n'))
  const files = lines.map((line) => ({ mode: line.slice(0, 10), path: line.slice(line.indexOf(':') + 4) }))
  const program = files.map(({ path }) => /^opt\/deltawire\/([a-zA-Z.]+)$/.exec(path)?.[1])
  assert.deepEqual(
    program.filter((name) => name !== undefined),
    ['LICENSE', 'LICENSES.packages', 'demo.yaml', 'events.mjs', 'main.mjs', 'package.json', 'sink.mjs'],
  )
  const unwanted = /(?:^|\/)(?:node_modules|npm|npx|corepack|apt|dpkg|sh|bash|dash|busybox)\/?$/
  assert.deepEqual(
    files.filter(
      ({ mode, path }) => unwanted.test(path) || (/^[^l].{4}(?:s|.{2}w|.{4}w)/.test(mode) && path !== 'tmp/'),
    ),
    [],
  )
})

test('it says what it is, and runs as a user who is a number', () => {
  const { User, Labels } = unpacked.config
  const prefix = 'org.opencontainers.image.'
  const told = Object.entries(Labels).filter(([name]) => name.startsWith(prefix))
  assert.deepEqual(
    [User, Object.fromEntries(told.map(([name, value]) => [name.slice(prefix.length), value]))],
    [
      '65532:65532',
      {
        title: 'Deltawire',
        description: 'Every change in a Kubernetes cluster, as a CloudEvent, delivered.',
        licenses: 'Apache-2.0',
        version: packageJson.version,
        revision: 'unknown',
      },
    ],
  )
})

test('it takes at most 150 MB, and 55 MB to pull', async (t) => {
  let compressed = 0
  for (const layer of unpacked.layers) {
    for await (const chunk of createReadStream(layer).pipe(createGzip())) compressed += (chunk as Buffer).length
  }
  const { stdout } = await run('du', ['--summarize', '--bytes', unpacked.root])
  const size = Number(stdout.split('\t')[0])
  const bundle = await run('du', ['--summarize', '--bytes', join(unpacked.root, 'opt/deltawire')])
  const megabytes = (bytes: number) => `${(bytes / MB).toFixed(1)} MB`
  const ours = megabytes(Number(bundle.stdout.split('\t')[0]))
  t.diagnostic(`${megabytes(size)} unpacked, of which the bundle ${ours}; ${megabytes(compressed)} to pull`)
  assert.ok(size <= 150 * MB && compressed <= 55 * MB)
})

test('the same sources make the same image, wherever and whenever', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'deltawire-context-'))
  try {
    const root = join(import.meta.dirname, '../..')
    const parts = [
      'Dockerfile',
      'LICENSE',
      '.dockerignore',
      '.npmrc',
      'package.json',
      'package-lock.json',
      'src',
      'sinks',
      'scripts',
    ]
    for (const part of parts) await cp(join(root, part), join(folder, part), { recursive: true })
    const archive = join(folder, 'image.tar')
    await writeImage(await productSource(folder), archive)
    assert.equal(await digestOf(archive), await digestOf(image.archive))
  } finally {
    await rm(folder, { recursive: true })
  }
})

/** The digest of an image: of its configuration, which has those of its layers. */
async function digestOf(archive: string): Promise<string | undefined> {
  const { stdout } = await run('tar', ['--extract', '--to-stdout', '--file', archive, 'manifest.json'])
  const [manifest] = JSON.parse(stdout) as readonly { readonly Config: string }[]
  return manifest?.Config
}

/** A Bridge in the way that a pod has it: its configuration and its account are files, and it is given a port. */
interface Pod {
  readonly config: object
  readonly files?: Readonly<Record<string, string>>
  readonly env?: Readonly<Record<string, string>>
}

const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount'
const CONFIG = '/etc/deltawire/deltawire.yaml'

async function startPod(from: UnpackedImage, server: TestApiServer, { config, files, env }: Pod): Promise<Container> {
  const { hostname, port } = new URL(server.url)
  const head = { apiVersion: 'deltawire.io/v1', kind: 'Bridge', cluster: 'test', http: { listen: '127.0.0.1:0' } }
  return await from.start({
    args: ['run', '--config', CONFIG],
    network: 'machine',
    memoryBytes: 256 * 2 ** 20,
    files: {
      [CONFIG]: JSON.stringify({ ...head, ...config }),
      [`${ACCOUNT}/token`]: server.token('limited'),
      [`${ACCOUNT}/ca.crt`]: server.ca,
      [`${ACCOUNT}/namespace`]: 'default',
      ...files,
    },
    env: { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port, ...env },
  })
}

/** Resolves when it says that it is ready. */
async function ready(pod: Container): Promise<void> {
  await pod.until('the bridge is ready', async () => {
    const [, url] = /"http":"(http:[^"]+)"/.exec(await pod.output()) ?? []
    return url !== undefined && (await fetch(`${url}/readyz`)).status === 200
  })
}

const sources = [{ name: 'all', resources: ['configmaps'], namespaces: ['default'] }]

/** An API server, with a user that may read what `sources` names and nothing else. */
async function startServer(): Promise<TestApiServer> {
  const server = await startApiServer()
  await server.admin.grant('limited', '', 'configmaps')
  return server
}

test('every built-in sink delivers from it, with what a pod is given and may do', async (t) => {
  await using server = await startServer()
  await using kafka = await startKafka()
  await kafka.createTopic('changes')
  await using moto = await startMoto()
  await moto.createBus('changes')
  const queue = await moto.createRule({ bus: 'changes', name: 'added', pattern: { 'detail-type': [ADDED] } })
  await using receiver = await startReceiver()
  const own = {
    eventbridge: { bus: 'changes', endpoint: moto.url },
    kafka: { brokers: [kafka.bootstrap], topic: 'changes' },
    stdout: {},
    webhook: { url: receiver.url, insecureHttp: true, network: { allow: ['127.0.0.0/8'] } },
  } satisfies Record<keyof typeof sinkTypes, object>
  const token = '/var/run/secrets/eks.amazonaws.com/serviceaccount/token'
  const started = performance.now()
  const pod = await startPod(unpacked, server, {
    config: { sources, sinks: Object.entries(own).map(([type, keys]) => ({ name: type, type, ...keys })) },
    // as EKS gives an account a role: what needs it is loaded only then
    files: { [token]: 'a token of the cluster' },
    env: {
      AWS_REGION: REGION,
      AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/deltawire',
      AWS_WEB_IDENTITY_TOKEN_FILE: token,
      AWS_ENDPOINT_URL_STS: moto.url,
    },
  })
  await ready(pod)
  const readyMs = performance.now() - started
  await server.admin.create('/api/v1/namespaces/default/configmaps', { metadata: { name: 'made' }, data: { a: 'b' } })

  const isMade = (event: { readonly subject?: unknown; readonly type?: unknown }) =>
    event.subject === 'default/made' && event.type === ADDED
  await pod.until('stdout has it', async () => (await pod.output()).includes('"subject":"default/made"'))
  await pod.until('the webhook has it', async () => (await receiver.events()).some(isMade))
  await pod.until('the queue has it', async () => (await queue.events()).some(({ detail }) => isMade(detail)))
  await pod.until('Kafka has it', async () => (await kafka.appended('changes')) > 0)
  const values = (await kafka.consoleConsumer('changes')).map((record) => JSON.stringify(record))
  assert.ok(values.some((value) => value.includes('default/made')))
  t.diagnostic(`ready after ${Math.round(readyMs)} ms; ${Math.round(pod.residentBytes() / MB)} MB resident`)
  assert.equal(await pod.stop(), 0)
})

test('what a configuration does not use is not loaded', async (t) => {
  await using server = await startServer()
  await using without = await UnpackedImage.unpack(image.archive)
  const folder = join(without.root, 'opt/deltawire')
  const removed: string[] = []
  for (const name of await readdir(folder)) {
    const text = await readFile(join(folder, name), 'utf8')
    if (/^\/\/ node_modules\/(?:kafkajs|@aws-sdk|@smithy|@aws-crypto)\//m.test(text)) removed.push(name)
  }
  assert.ok(
    removed.some((name) => name.startsWith('kafka-')) && removed.some((name) => name.startsWith('eventbridge-')),
  )
  for (const name of removed) await rm(join(folder, name))

  const started = performance.now()
  const pod = await startPod(without, server, { config: { sources, sinks: [{ name: 'out', type: 'stdout' }] } })
  await ready(pod)
  t.diagnostic(
    `ready after ${Math.round(performance.now() - started)} ms; ${Math.round(pod.residentBytes() / MB)} MB resident`,
  )
  assert.equal(await pod.stop(), 0)
})

test("a sink of somebody else's that is mounted beside the configuration delivers from it, in JavaScript and in TypeScript", async () => {
  await using server = await startServer()
  await using target = await LineTarget.start()
  const source = await readFile('examples/custom-sink/line-sink.js', 'utf8')
  const { address } = target.config
  const pod = await startPod(unpacked, server, {
    config: {
      sources,
      sinks: ['js', 'ts'].map((language) => ({ name: language, type: `./sinks/line-sink.${language}`, address })),
    },
    files: {
      '/etc/deltawire/sinks/line-sink.js': source,
      '/etc/deltawire/sinks/line-sink.ts': `type Unused = string\n${source.replace('signal)', 'signal: AbortSignal)')}`,
    },
  })
  await ready(pod)
  await server.admin.create('/api/v1/namespaces/default/configmaps', { metadata: { name: 'made' }, data: { a: 'b' } })
  const arrived = () => target.received().filter(({ attributes }) => attributes.subject === 'default/made').length === 2
  await pod.until('both have delivered it', async () => arrived())
  assert.equal(await pod.stop(), 0)
  assert.doesNotMatch(await pod.output(), /[Ww]arning/)
})

test('a configuration is checked in it as everywhere, by every schema', async () => {
  const wrong = `apiVersion: deltawire.io/v1
kind: Bridge
log: { level: loud }
sources: [{ resources: [pods], labelSelctor: app=web }]
sinks:
  - { name: a, type: eventbridge, bus: 5 }
  - { name: b, type: kafka, brokers: [], topic: t }
  - { name: c, type: stdout, format: loud }
  - { name: d, type: webhook, url: https://example.com, timeout: soon }
`
  const { exitCode, output } = await unpacked.run({
    args: ['validate', '--config', CONFIG],
    files: { [CONFIG]: wrong },
  })
  const paths = output
    .trim()
    .split('\n')
    .map((line) => / (\S+):/.exec(line)?.[1])
  assert.deepEqual(
    [exitCode, paths.slice(0, -1)],
    [
      2,
      [
        'log.level',
        'sources[0].labelSelctor',
        'sinks[0].bus',
        'sinks[1].brokers',
        'sinks[2].format',
        'sinks[3].timeout',
      ],
    ],
  )
})

test('the demo runs in it', async () => {
  const { exitCode, output } = await unpacked.run({ args: ['demo', '--for', '2s'], network: 'machine' })
  assert.equal(exitCode, 0)
  assert.match(output, /"type":"io.deltawire.object.added.v1"/)
})

test('it is built by the Node that the product is tested with', async () => {
  const [, builder] = /^ARG BUILDER=\S+\/node:([0-9.]+)-/m.exec(await readFile('Dockerfile', 'utf8')) ?? []
  assert.equal(builder, packageJson.devDependencies.node)
})
