/** P8 F58: a secret goes through everything, and not a byte of it comes out. */

import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventually } from '../support/eventually.ts'
import { startApiServer } from '../testbed/api-server.ts'
import { Workspace } from '../testbed/workspace.ts'
import { startBridge } from './support/bridge-process.ts'
import { FaultyReceiver } from './support/faulty-receiver.ts'
import { webhook } from './support/stand.ts'

const canary = 'canary-6f1c2b7e-never-leaves'
const once = Buffer.from(canary).toString('base64')
const twice = Buffer.from(once).toString('base64')

test('P8 F58 a canary in Secrets, last-applied, environment variables and configured paths never leaves', async (t) => {
  await using server = await startApiServer()
  await using receiver = await FaultyReceiver.start()
  await using workspace = await Workspace.create('canary')
  const letterFolder = join(workspace.folder, 'letters')
  const spoolFolder = join(workspace.folder, 'spool')
  const stateFolder = join(workspace.folder, 'state')
  await server.admin.createWidgets()
  const lastApplied = {
    'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify({ stringData: { password: canary } }),
  }
  const secrets = '/api/v1/namespaces/default/secrets'
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'before', annotations: lastApplied },
    data: { password: once, twice },
  }
  await server.admin.create(secrets, secret)
  await using bridge = await startBridge({
    kubeconfig: await server.kubeconfig(),
    args: ['--log.level', 'trace'],
    env: { WEBHOOK_TOKEN: canary },
    config: {
      sources: [
        {
          name: 'all',
          resources: ['secrets', 'pods', 'widgets.v1.example.com'],
          allowSecrets: true,
          resync: { every: '1s' },
        },
      ],
      redaction: { paths: ['spec.users[*].password'] },
      deadLetters: { path: letterFolder },
      state: { type: 'file', path: stateFolder },
      routes: [
        { name: 'whole', to: ['whole', 'out'], payload: { previous: true } },
        { name: 'bare', to: ['bare'], payload: { shape: 'bare' } },
      ],
      sinks: [
        {
          name: 'whole',
          type: 'webhook',
          url: receiver.url,
          insecureHttp: true,
          network: { allow: ['127.0.0.0/8'] },
          auth: { bearer: { env: 'WEBHOOK_TOKEN' } },
          retry: { initial: '10ms', max: '50ms' },
        },
        webhook('bare', receiver.url, { queue: { whenFull: 'spool', spool: { path: spoolFolder } } }),
        { name: 'out', type: 'stdout' },
      ],
    },
  })
  await bridge.ready()
  // refusals make error texts, dead letters and log lines
  let requests = 0
  receiver.answer = () =>
    requests++ % 3 === 0 ? { type: 'refuse', status: requests % 2 === 0 ? 400 : 500 } : { type: 'take' }

  await server.admin.create(secrets, { ...secret, metadata: { ...secret.metadata, name: 'after' } })
  await server.admin.patch(`${secrets}/after`, { stringData: { password: `${canary}-2` } })
  await server.admin.delete(`${secrets}/before`)
  const pods = '/api/v1/namespaces/default/pods'
  const env = [{ name: 'DB_PASSWORD', value: canary }]
  await server.admin.create(pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', annotations: lastApplied },
    spec: { containers: [{ name: 'main', image: 'example', env }] },
  })
  await server.admin.patch(`${pods}/web`, { metadata: { labels: { touched: 'yes' } } })
  await server.admin.create('/apis/example.com/v1/namespaces/default/widgets', {
    apiVersion: 'example.com/v1',
    kind: 'Widget',
    metadata: { name: 'gizmo' },
    spec: { users: [{ name: 'a', password: canary }] },
  })
  const ended = (name: string) => receiver.events.some((event) => event.subject === `default/${name}`)
  await eventually(() => ['after', 'web', 'gizmo'].every(ended), { what: 'the events have arrived' })
  const spooled = readFiles(join(spoolFolder, '**')).join('') // what is delivered is removed at the end
  const { body: metrics } = await bridge.get('/metrics')
  const { body: readiness } = await bridge.get('/readyz')
  const letters = await bridge.metric('deltawire_dead_letters_total{sink="whole",reason="rejected"}')
  const api = await (await fetch(`${await bridge.adminUrl()}/api/v1/dead-letters`)).text()
  assert.equal(await bridge.end('SIGTERM'), 0)

  const output = await bridge.output()
  const kept = (folder: string) => readFiles(join(folder, '**')).join('')
  const [deadLetters, state] = [kept(letterFolder), kept(stateFolder)]
  const events = JSON.stringify(receiver.events)
  const places = { events, output, metrics, readiness, api, deadLetters, state, spool: spooled + kept(spoolFolder) }
  for (const [place, text] of Object.entries(places)) {
    for (const form of [canary, once, twice, once.slice(4, -4)])
      assert.ok(!text.includes(form), `${place} holds the canary`)
  }
  assert.match(places.events, /redacted/)
  assert.match(places.deadLetters, /io\.deltawire\.object/)
  assert.match(places.spool, /io\.deltawire\.object/)
  assert.match(places.state, /default\/after/)
  assert.match(output, /io\.deltawire\.object\.added/)
  t.diagnostic(
    JSON.stringify({
      events: receiver.events.length,
      outputBytes: output.length,
      deadLetters: letters,
      canaryBytes: 0,
    }),
  )
})

/** The texts of all files that match. */
function readFiles(pattern: string): readonly string[] {
  const entries = globSync(pattern, { withFileTypes: true }).filter((entry) => entry.isFile())
  return entries.map(({ parentPath, name }) => readFileSync(join(parentPath, name), 'utf8'))
}
