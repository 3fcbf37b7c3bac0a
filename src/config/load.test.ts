import assert from 'node:assert/strict'
import { test } from 'node:test'
import { echo, file, load } from './test-kit.ts'

const processDefaults = {
  http: { listen: ':8080' },
  admin: { listen: '127.0.0.1:8090' },
  log: { level: 'info' },
  state: { type: 'memory', fsync: 'always' },
  deadLetters: { bytes: '256MiB' },
  shutdown: { drain: '20s' },
  redaction: {
    key: 'none',
    paths: [],
    env: ['PASSWORD', 'PASSWD', 'PASSPHRASE', 'PWD', 'SECRET', 'TOKEN', 'KEY', 'CREDENTIAL'],
  },
  limits: { frameBytes: '4MiB', depth: 512 },
  apiServer: { pageSize: 500, timeoutSeconds: 300 },
}
const commonDefaults = {
  required: true,
  order: 'key',
  timeout: '15s',
  batch: { linger: '5ms' },
  queue: { events: 10_000, bytes: '64MiB', whenFull: 'coalesce' },
  retry: { initial: '500ms', max: '5m', giveUpAfter: '1h' },
}
const ownDefaults = { mode: 'loud', headers: {}, network: { allow: [] } }

test('the shortest configuration has every default', async () => {
  const config = await load(`
apiVersion: deltawire.io/v1
kind: Bridge
sources: [{ resources: [deployments.apps, pods] }]
sinks: [{ name: out, type: echo, to: x }]
`)
  assert.deepEqual(config, {
    ...processDefaults,
    sources: [
      {
        name: 'deployments.apps',
        resources: ['deployments.apps', 'pods'],
        allowSecrets: false,
        resync: { every: '1h', snapshot: 'delta', verify: false },
      },
    ],
    routes: [],
    sinks: [
      { options: { name: 'out', type: 'echo', ...commonDefaults }, own: { to: 'x', ...ownDefaults }, definition: echo },
    ],
    warnings: [],
  })
})

test('every key can be set, and arrives as it was written', async () => {
  const { warnings, ...config } = await load(`
apiVersion: deltawire.io/v1
kind: Bridge
cluster: prod-eu
http: { listen: '[::1]:9090' }
admin: { listen: off }
log: { level: debug, format: pretty }
state: { type: file, path: /state, fsync: interval }
deadLetters: { path: /var/lib/deltawire/dead-letters, bytes: 1GiB }
shutdown: { drain: 1.5h }
redaction:
  key: { file: /etc/deltawire/key }
  paths: ['spec.users[*].password', 'data["tls.key"]']
  env: [PIN]
limits: { frameBytes: 64KiB, depth: 100 }
apiServer: { pageSize: 50, timeoutSeconds: 600 }
sources:
  - name: workloads
    resources: [pods, deployments.apps, widgets.v1.example.com]
    namespaces: [shop, pay]
    labelSelector: app.kubernetes.io/part-of in (shop, pay),tier!=cache,!spot
    fieldSelector: status.phase!=Running
    resync: { every: 10m, snapshot: markers }
  - name: keys
    resources: [secrets]
    allowSecrets: true
    resync: { every: 0, snapshot: off }
routes:
  - { name: changes, from: [workloads], to: [a], on: [added, deleted], payload: { shape: metadata, previous: true } }
  - { name: rest, to: [a, b] }
sinks:
  - name: a
    type: echo
    required: false
    order: none
    concurrency: 4
    timeout: 1s
    batch: { events: 10, bytes: 1MiB, linger: 0 }
    queue: { events: 5, bytes: 10kB, whenFull: block }
    retry: { initial: 1ms, max: 1s, giveUpAfter: 0 }
    deadLetter: b
    maxEventBytes: 1kB
    to: y
    mode: quiet
    headers: { x-team: pay }
    token: { env: TOKEN }
    auth: { basic: { username: me, password: { file: /run/password } } }
    network: { allow: [10/8] }
  - { name: b, type: echo, to: z, auth: { bearer: { env: BEARER } } }
`)
  assert.deepEqual(config, {
    cluster: 'prod-eu',
    http: { listen: '[::1]:9090' },
    admin: { listen: 'off' },
    log: { level: 'debug', format: 'pretty' },
    state: { type: 'file', path: '/state', fsync: 'interval' },
    deadLetters: { path: '/var/lib/deltawire/dead-letters', bytes: '1GiB' },
    shutdown: { drain: '1.5h' },
    redaction: {
      key: { file: '/etc/deltawire/key' },
      paths: ['spec.users[*].password', 'data["tls.key"]'],
      env: ['PIN'],
    },
    limits: { frameBytes: '64KiB', depth: 100 },
    apiServer: { pageSize: 50, timeoutSeconds: 600 },
    sources: [
      {
        name: 'workloads',
        resources: ['pods', 'deployments.apps', 'widgets.v1.example.com'],
        namespaces: ['shop', 'pay'],
        labelSelector: 'app.kubernetes.io/part-of in (shop, pay),tier!=cache,!spot',
        fieldSelector: 'status.phase!=Running',
        allowSecrets: false,
        resync: { every: '10m', snapshot: 'markers', verify: false },
      },
      {
        name: 'keys',
        resources: ['secrets'],
        allowSecrets: true,
        resync: { every: '0', snapshot: 'off', verify: false },
      },
    ],
    routes: [
      {
        name: 'changes',
        from: ['workloads'],
        to: ['a'],
        on: ['added', 'deleted'],
        payload: { shape: 'metadata', previous: true },
      },
      {
        name: 'rest',
        to: ['a', 'b'],
        payload: { shape: 'object', previous: false },
      },
    ],
    sinks: [
      {
        options: {
          name: 'a',
          type: 'echo',
          required: false,
          order: 'none',
          concurrency: 4,
          timeout: '1s',
          batch: { events: 10, bytes: '1MiB', linger: '0' },
          queue: { events: 5, bytes: '10kB', whenFull: 'block' },
          retry: { initial: '1ms', max: '1s', giveUpAfter: '0' },
          deadLetter: 'b',
          maxEventBytes: '1kB',
        },
        definition: echo,
        own: {
          to: 'y',
          mode: 'quiet',
          headers: { 'x-team': 'pay' },
          token: { env: 'TOKEN' },
          auth: { basic: { username: 'me', password: { file: '/run/password' } } },
          network: { allow: ['10/8'] },
        },
      },
      {
        options: { name: 'b', type: 'echo', ...commonDefaults },
        definition: echo,
        own: { to: 'z', auth: { bearer: { env: 'BEARER' } }, ...ownDefaults },
      },
    ],
  })
  // the files that this machine does not have; and one sink that blocks another
  const paths = warnings.map(({ path }) => path)
  assert.deepEqual(paths, ['redaction.key.file', 'sinks[0].queue.whenFull', 'sinks[0].auth.basic.password.file'])
})

test('a route whose turn never comes is a warning, at its place', async () => {
  const text = file.routes('  - { name: r, to: [out] }\n  - { name: s, to: [out], on: [added] }')
  const { warnings } = await load(text)
  const inRoutes = warnings.filter(({ message }) => message.startsWith('nothing takes this route'))
  assert.deepEqual(
    inRoutes.map(({ place, path }) => [path, place.type === 'file' && place.line]),
    [['routes[1]', 5]],
  )
})

test('verification that never comes is a warning', async () => {
  const { warnings } = await load(
    file.sources(
      [
        '  - { resources: [pods], resync: { snapshot: off, verify: true } }',
        '  - { resources: [nodes], resync: { every: 0s, verify: true } }',
        '  - { resources: [secrets], allowSecrets: true, resync: { verify: true } }',
      ].join('\n'),
    ),
  )
  const words = 'nothing is verified: that comes before each scheduled snapshot, and with'
  assert.deepEqual(
    warnings.map(({ path, message }) => `${path}: ${message}`),
    [
      `sources[0].resync.verify: ${words} snapshot: off there are none`,
      `sources[1].resync.verify: ${words} every: 0s there are none`,
    ],
  )
})

test('what an anchor stands for is a copy: a default filled in at one place does not show at another', async () => {
  const { sinks } = await load(
    file.sinks(`
  - { name: a, type: echo, to: x, batch: &b { events: 1 } }
  - { name: b, type: echo, to: x, batch: *b }`),
  )
  const [first, second] = sinks.map(({ options }) => options.batch)
  assert.deepEqual(first, { events: 1, linger: '5ms' })
  assert.deepEqual(second, first)
  assert.notEqual(second, first)
})

test('default < file < environment < argument', async () => {
  const text = file.process('log: { level: warn }\nlimits: { depth: 100 }\nhttp: { listen: ":1" }')
  const env = { DELTAWIRE_LOG_LEVEL: 'error', DELTAWIRE_LIMITS_DEPTH: '200', DELTAWIRE_SHUTDOWN_DRAIN: '1s' }
  const { log, limits, http, shutdown, apiServer } = await load(text, { env, args: { 'log.level': 'debug' } })
  assert.deepEqual(
    { log, limits, http, shutdown, apiServer },
    {
      log: { level: 'debug' },
      limits: { frameBytes: '4MiB', depth: 200 },
      http: { listen: ':1' },
      shutdown: { drain: '1s' },
      apiServer: { pageSize: 500, timeoutSeconds: 300 },
    },
  )
})

test('two sources of one resource are fine where they cannot meet', async () => {
  await load(
    file.sources(`
  - { name: a, resources: [pods, deployments.apps], namespaces: [shop] }
  - { name: b, resources: [pods.v1, deployments.v1.apps], namespaces: [pay] }`),
  )
  await load(`
apiVersion: deltawire.io/v1
kind: Bridge
sources: [{ name: a, resources: [pods] }, { name: b, resources: [pods] }]
routes: [{ name: a, from: [a], to: [x] }, { name: b, from: [b], to: [y] }]
sinks: [{ name: x, type: echo, to: x }, { name: y, type: echo, to: x }]
`)
})
