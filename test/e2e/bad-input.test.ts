/** What a user sees of everything that can be wrong around a bridge, and that it heals without a restart. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { eventually } from '../support/eventually.ts'
import { startApiServer, type TestApiServer } from '../testbed/api-server.ts'
import { freePorts } from '../testbed/workspace.ts'
import { startBridge } from './support/bridge-process.ts'
import { FaultyReceiver } from './support/faulty-receiver.ts'

const main = join(import.meta.dirname, '../../src/main.ts')
let folder: string
let server: TestApiServer

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'deltawire-bad-input-'))
  server = await startApiServer()
})
after(async () => {
  await server[Symbol.asyncDispose]()
  await rm(folder, { recursive: true })
})

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

function deltawire(...args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const options = { cwd: folder, env: { PATH: process.env.PATH, HOME: folder } }
    execFile(process.execPath, [main, ...args], options, (error, stdout, stderr) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? -1 : 0, stdout, stderr }),
    )
  })
}

test('every error of a configuration is told at once, each with its place and the way out', async () => {
  const lines = [
    'apiVersion: deltawire.io/v1',
    'kind: Bridge',
    'sources:',
    '  - name: workloads',
    '    resources: [pods]',
    '    labelSelctor: app=web',
    'routes:',
    '  - { name: all, to: [audti] }',
    'sinks:',
    '  - { name: audit, type: webhook, url: https://audit.example.com/, concurrency: many }',
  ]
  await writeFile(join(folder, 'bad.yaml'), lines.join('\n'))
  const expected = [
    'bad.yaml:6:5 sources[0].labelSelctor: unknown key; did you mean labelSelector?',
    'bad.yaml:8:23 routes[0].to[0]: there is no sink "audti"; did you mean audit?',
    'bad.yaml:10:81 sinks[0].concurrency: is text; expected an integer from 1 to 10000',
    'the configuration is not valid: 3 problems',
    '',
  ]
  for (const args of [['validate'], ['run']]) {
    assert.deepEqual(await deltawire(...args, '--config', 'bad.yaml'), {
      code: 2,
      stdout: '',
      stderr: expected.join('\n'),
    })
  }
})

test('a configuration that is not there, and arguments that are wrong, end with 2 and say so', async () => {
  const ended = await Promise.all([
    deltawire('run', '--config', 'none.yaml'),
    deltawire('run'),
    deltawire('demo', '--for', 'soon'),
    deltawire('rnu'),
  ])
  assert.deepEqual(
    ended.map(({ code }) => code),
    [2, 2, 2, 2],
  )
  const [missing, option, duration, command] = ended.map(({ stderr }) => stderr)
  assert.match(missing ?? '', /^none\.yaml.*(no such file|does not exist)/)
  assert.match(option ?? '', /required option '--config <file>' not specified/)
  assert.match(duration ?? '', /option '--for <duration>' argument 'soon' is invalid.*write it like 500ms, 15s/)
  assert.match(command ?? '', /unknown command 'rnu'/)
})

const oneSink = (url: string) => [
  { name: 'receiver', type: 'webhook', url, insecureHttp: true, network: { allow: ['127.0.0.0/8'] } },
]

test('a kubeconfig that is not there, or has no such context, ends with 2 and names it', async () => {
  const config = {
    apiVersion: 'deltawire.io/v1',
    kind: 'Bridge',
    sources: [{ resources: ['pods'] }],
    sinks: [{ name: 'out', type: 'stdout' }],
  }
  await writeFile(join(folder, 'good.yaml'), JSON.stringify(config))
  const file = await deltawire('run', '--config', 'good.yaml', '--kubeconfig', 'none')
  assert.deepEqual(
    [file.code, file.stderr],
    [2, 'deltawire: none: no such file; give --kubeconfig the path of a kubeconfig\n'],
  )
  const kubeconfig = await server.kubeconfig()
  const context = await deltawire('run', '--config', 'good.yaml', '--kubeconfig', kubeconfig, '--context', 'admim')
  assert.equal(context.code, 2)
  assert.match(context.stderr, /context admim not found in .*; is admin meant\?/)
  const nothing = await deltawire('run', '--config', 'good.yaml')
  assert.equal(nothing.code, 2)
  assert.match(nothing.stderr, /no API server is configured: .*give --kubeconfig FILE or --master URL/)
})

test('F06 an API server that cannot be reached is named, and waited for', async () => {
  await using receiver = await FaultyReceiver.start()
  const [port] = await freePorts(1)
  await using bridge = await startBridge({
    args: ['--master', `https://127.0.0.1:${port}`],
    config: { sources: [{ resources: ['pods'] }], sinks: oneSink(receiver.url) },
  })
  const line = await bridge.logged('it says so', ({ level }) => level === 'warn')
  assert.equal(line.message, 'the stream has failed and is tried again')
  assert.match(
    String(line.error),
    new RegExp(`127\\.0\\.0\\.1:${port}.*ECONNREFUSED|ECONNREFUSED.*127\\.0\\.0\\.1:${port}`),
  )
  const { status, body } = await bridge.get('/readyz')
  assert.equal(status, 503)
  assert.match(body, /stream pods\/pods.*not synced yet.*ECONNREFUSED/)
  assert.equal((await bridge.get('/livez')).status, 200)
  assert.equal(await bridge.end('SIGTERM'), 0)
})

test('X12 credentials that the server does not know are named, and tried again', async () => {
  await using receiver = await FaultyReceiver.start()
  const kubeconfig = await server.kubeconfig('unknown')
  await using bridge = await startBridge({
    kubeconfig,
    config: { sources: [{ resources: ['pods'] }], sinks: oneSink(receiver.url) },
  })
  const line = await bridge.logged('it says so', ({ level }) => level === 'warn')
  assert.equal(line.state, 'unauthorized')
  assert.match(String(line.error), /401/)
  assert.ok(!(await bridge.output()).includes(server.token('unknown')))
  assert.equal((await bridge.get('/readyz')).status, 503)
})

test('X13 F20 one of three resources is forbidden: the others go on, and it heals when the right is granted', async () => {
  await using receiver = await FaultyReceiver.start()
  await server.admin.grant('limited', '', 'configmaps', 'pods')
  await using bridge = await startBridge({
    kubeconfig: await server.kubeconfig('limited'),
    config: {
      sources: [{ name: 'all', resources: ['configmaps', 'pods', 'services'], namespaces: ['default'] }],
      sinks: oneSink(receiver.url),
    },
  })
  const line = await bridge.logged('it says so', ({ level }) => level === 'warn')
  assert.equal(line.state, 'forbidden')
  assert.match(String(line.error), /services is forbidden: User "limited" cannot watch resource "services"/)
  const { status, body } = await bridge.get('/readyz')
  assert.equal(status, 503)
  assert.match(body, /stream all\/services\/default.*degraded.*forbidden/)

  await server.admin.create('/api/v1/namespaces/default/configmaps', {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'meanwhile' },
  })
  await eventually(() => receiver.events.some(({ subject }) => subject === 'default/meanwhile'), {
    what: 'the others go on',
  })
  await server.admin.grant('limited', '', 'services')
  await bridge.ready()
  const healed = () =>
    receiver.events.some(({ stream, type }) => stream === 'all/services/default' && type.includes('snapshot.begin'))
  await eventually(healed, { what: 'the third one has begun' })
})

test('a resource that is not there yet starts by itself when its definition is created', async () => {
  await using receiver = await FaultyReceiver.start()
  await using bridge = await startBridge({
    kubeconfig: await server.kubeconfig(),
    config: {
      sources: [{ name: 'all', resources: ['widgets.v1.example.com', 'configmaps'] }],
      sinks: oneSink(receiver.url),
    },
  })
  const line = await bridge.logged('it says so', ({ state }) => state === 'not-found')
  assert.match(String(line.error), /widgets\.v1\.example\.com/)
  await eventually(() => receiver.events.some(({ stream }) => stream === 'all/configmaps'), {
    what: 'the other goes on',
  })
  await server.admin.createWidgets()
  await server.admin.create('/apis/example.com/v1/namespaces/default/widgets', {
    apiVersion: 'example.com/v1',
    kind: 'Widget',
    metadata: { name: 'gizmo' },
  })
  await eventually(
    () => receiver.events.some(({ subject, kind }) => subject === 'default/gizmo' && kind === 'Widget'),
    {
      what: 'the widget has arrived',
    },
  )
  await bridge.ready()
})
