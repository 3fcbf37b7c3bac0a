/** What a scrape of a running bridge says, and what the documents say of it. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { systemClock } from '../../src/lib/clock.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { eventually } from '../support/eventually.ts'
import { startApiServer } from '../testbed/api-server.ts'
import { startBridge } from './support/bridge-process.ts'
import { FaultyReceiver } from './support/faulty-receiver.ts'
import { webhook } from './support/stand.ts'

const defined = new Metrics({ clock: systemClock, version: '' }).definitions()

/** name -> its series, as label names and values. */
function scraped(text: string): ReadonlyMap<string, readonly Readonly<Record<string, string>>[]> {
  const found = new Map<string, Record<string, string>[]>()
  for (const line of text.split('\n')) {
    const [, name, labels = ''] = /^(deltawire_[a-z_]+)(?:\{(.*)\})? \S+$/.exec(line) ?? []
    if (name === undefined) continue
    const family = defined.some((one) => one.name === name) ? name : name.replace(/_(?:bucket|sum|count)$/, '')
    const series = Object.fromEntries([...labels.matchAll(/([a-z]+)="([^"]*)"/g)].map(([, k = '', v = '']) => [k, v]))
    found.set(family, [...(found.get(family) ?? []), series])
  }
  return found
}

test('a scrape has what is documented, with these labels and no others, and tells an outage of one sink of two', async () => {
  await using server = await startApiServer()
  await using good = await FaultyReceiver.start()
  await using bad = await FaultyReceiver.start()
  await using bridge = await startBridge({
    kubeconfig: await server.kubeconfig(),
    config: {
      sources: [{ name: 'all', resources: ['namespaces'] }],
      sinks: [
        webhook('good', good.url),
        webhook('bad', bad.url, { retry: { initial: '50ms', max: '100ms' }, concurrency: 4 }),
      ],
    },
  })
  await bridge.ready()
  const metric = (series: string) => bridge.metric(`deltawire_${series}`)
  const pair = (sink: string) => `{stream="all/namespaces",sink="${sink}"}`
  await eventually(async () => (await metric(`watermark_lag_events${pair('bad')}`)) === 0, { what: 'all is delivered' })
  assert.equal(await metric('sink_concurrency{sink="bad"}'), 4)
  assert.equal(await metric('dead_letters_total{sink="bad",reason="rejected"}'), 0)

  bad.answer = () => ({ type: 'refuse', status: 503 })
  for (const name of ['a', 'b', 'c']) await server.admin.createNamespace(name)
  await eventually(async () => (await metric('sink_circuit_state{sink="bad"}')) > 0, { what: 'one is out of order' })
  await eventually(async () => (await metric(`oldest_unacknowledged_seconds${pair('good')}`)) === 0, {
    what: 'the other one has everything',
  })
  assert.ok((await metric(`oldest_unacknowledged_seconds${pair('bad')}`)) > 0)
  assert.ok((await metric(`watermark_lag_events${pair('bad')}`)) >= 3)
  assert.ok((await metric('sink_queue_events{sink="bad"}')) >= 3)
  assert.ok((await metric('sink_queue_bytes{sink="bad"}')) > 0)
  assert.ok((await metric('sink_queue_oldest_age_seconds{sink="bad"}')) > 0)
  assert.ok((await metric('sink_retries_total{sink="bad",reason="unavailable"}')) > 0)
  assert.ok((await metric('sink_concurrency{sink="bad"}')) <= 1)
  assert.ok((await metric('delivery_latency_seconds_count{sink="good"}')) > 0)
  assert.ok((await metric('sink_send_duration_seconds_count{sink="bad"}')) > 0)

  const { body } = await bridge.get('/metrics')
  for (const [name, series] of scraped(body)) {
    const definition = defined.find((one) => one.name === name)
    assert.ok(definition, `${name} is not in docs/metrics.md`)
    const allowed = [...definition.labels, ...(definition.type === 'histogram' ? ['le'] : [])]
    for (const labels of series) {
      assert.ok(
        Object.keys(labels).every((label) => allowed.includes(label)),
        `${name} ${JSON.stringify(labels)}`,
      )
    }
    assert.match(body, new RegExp(`^# TYPE ${name} ${definition.type}$`, 'm'))
  }
  for (const { name } of defined) assert.match(body, new RegExp(`^# HELP ${name} `, 'm'), `${name} is not scraped`)

  bad.answer = () => ({ type: 'take' })
  await eventually(async () => (await metric(`oldest_unacknowledged_seconds${pair('bad')}`)) === 0, {
    what: 'it heals',
  })
  for (const name of ['d', 'e', 'f', 'g']) await server.admin.createNamespace(name)
  await eventually(async () => (await metric('sink_concurrency{sink="bad"}')) === 4, { what: 'and has all its places' })
})

test('every metric that a document names exists', () => {
  const names = new Set(defined.map(({ name }) => name))
  const documents = [...globSync('*.md'), ...globSync('docs/**/*.md'), ...globSync('examples/**/*.md')]
  const unknown = documents
    .filter((document) => document !== 'CHANGELOG.md' && !document.includes('decisions'))
    .flatMap((document) =>
      [...readFileSync(document, 'utf8').matchAll(/\bdeltawire_[a-z_]+[a-z]/g)]
        .filter(([name]) => !names.has(name) && !names.has(name.replace(/_(?:bucket|sum|count)$/, '')))
        .map(([name]) => `${document}: ${name}`),
    )
  assert.deepEqual(unknown, [])
})
