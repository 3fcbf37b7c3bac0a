import assert from 'node:assert/strict'
import { eventually } from '../../support/eventually.ts'
import { startBridge } from './bridge-process.ts'
import { type Answer, FaultyReceiver } from './faulty-receiver.ts'
import { type Comparison, compare } from './oracle.ts'
import { operate, prefixes, resources, seeded } from './random-operations.ts'
import { startCluster, webhook } from './stand.ts'

export interface SinkFaultsOptions {
  readonly seed: number
  /** Operations per phase. */
  readonly operations: number
  /** How long the sink answers 503. */
  readonly outageMs: number
}

export interface SinkFaultsResult extends Comparison {
  readonly answered: Readonly<Record<string, number>>
  readonly queue: { readonly limit: number; readonly most: number }
  readonly deadLetters: number
}

const namespaces = ['shop']
const QUEUE_LIMIT = 200

/** A sink that is slow, then throttles, then is out, then breaks connections before and after it took the event. */
export async function surviveSinkFaults({ seed, operations, outageMs }: SinkFaultsOptions): Promise<SinkFaultsResult> {
  await using server = await startCluster(namespaces)
  await using receiver = await FaultyReceiver.start()
  await using bridge = await startBridge({
    kubeconfig: await server.kubeconfig(),
    config: {
      sources: [{ name: 'all', resources, namespaces }],
      sinks: [
        webhook('faulty', receiver.url, {
          queue: { events: QUEUE_LIMIT, whenFull: 'block' },
          retry: { initial: '50ms', max: '2s' },
        }),
      ],
    },
  })
  await bridge.ready()
  const recorder = await server.record()
  const random = seeded(seed)
  let most = 0
  const measure = async () => {
    most = Math.max(most, await bridge.metric('deltawire_sink_queue_events{sink="faulty"}'))
  }
  const phase = async (answer: () => Answer) => {
    receiver.answer = answer
    await operate(server.admin, { count: operations, seed: Math.floor(random() * 1e6), namespaces })
    await measure()
  }

  const slowly: Answer = { type: 'take', afterMs: 20 }
  await phase(() => slowly)
  await phase(() => (random() < 0.02 ? { type: 'refuse', status: 429, retryAfter: '1' } : slowly))
  const end = performance.now() + outageMs
  await phase(() => ({ type: 'refuse', status: 503 }))
  await eventually(() => performance.now() > end, { what: 'the outage is over', withinMs: outageMs + 1000 })
  await measure()
  await phase(() => {
    const x = random()
    return x < 0.1 ? { type: 'reset-before' } : x < 0.2 ? { type: 'take-then-reset' } : slowly
  })
  receiver.answer = () => ({ type: 'take' })

  const history = await recorder.until(await server.revision(), ...prefixes)
  await eventually(() => compare(history, receiver.events).problems.length === 0, {
    what: 'all has arrived',
    withinMs: 90_000,
  }).catch(() => undefined) // the comparison below says what is missing
  const result = compare(history, receiver.events)
  assert.deepEqual(result.problems, [])
  assert.equal(result.delivered, result.versions)
  assert.ok(most <= QUEUE_LIMIT, `the queue held ${most} events, its limit is ${QUEUE_LIMIT}`)
  const dead = (await bridge.get('/metrics')).body
    .split('\n')
    .filter((line) => line.startsWith('deltawire_dead_letters_total{') && !line.endsWith(' 0'))
  assert.deepEqual(dead, [])
  assert.equal(await bridge.end('SIGTERM'), 0)
  return {
    ...result,
    answered: Object.fromEntries(receiver.answered),
    queue: { limit: QUEUE_LIMIT, most },
    deadLetters: 0,
  }
}
