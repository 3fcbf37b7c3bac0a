/**
 * What goes wrong between an API server and a stream, each fault once with streamed lists and once with pages: in the end
 * the consumer's copy is what the server has, and nothing was asked for that was not needed.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Delta, Informer, type InformerOptions } from '../../src/informer/index.ts'
import { inShort } from '../../src/informer/test-kit.ts'
import { ApiClient } from '../../src/kube/api-client.ts'
import { type KubeObject, keyOf } from '../../src/kube/object.ts'
import { listWatch } from '../../src/kube/resource-list-watch.ts'
import { ManualClock } from '../../src/lib/manual-clock.ts'
import { type Failure, Simulator, type SimulatorOptions, type Watch } from '../../src/simulator/index.ts'
import { configMaps, configOf, recorded } from './support/recorded.ts'

type Lists = 'streamed' | 'paged'

interface StandOptions {
  readonly lists: Lists
  readonly simulator?: SimulatorOptions
  readonly informer?: Partial<InformerOptions<KubeObject>>
}

/** A simulator, an informer of its ConfigMaps over real sockets, a consumer's copy; all of them in one time. */
class Stand implements AsyncDisposable {
  readonly clock = new ManualClock()
  readonly simulator: Simulator
  readonly api: ReturnType<typeof recorded>
  readonly informer: Informer
  /** Codes of the stream's failures. */
  readonly failures: string[] = []
  readonly told: string[] = []
  readonly #copy = new Map<string, string>()
  readonly #client: ApiClient
  readonly #stop = new AbortController()
  readonly #reader

  private constructor(simulator: Simulator, clock: ManualClock, options: StandOptions) {
    this.simulator = simulator
    this.clock = clock
    this.#client = new ApiClient(configOf(simulator.url), { clock })
    this.api = recorded(listWatch(this.#client, configMaps))
    this.informer = new Informer(this.api, {
      scope: 'whole',
      clock,
      random: () => 0.5,
      reflector: { pageSize: 2 },
      onError: (fault) => this.failures.push(fault.type === 'Stream' ? fault.error.code : fault.type),
      ...options.informer,
    })
    this.#reader = this.informer.deltas(this.#stop.signal)
  }

  /** Started, with five objects, and not synced yet. */
  static async start(options: StandOptions): Promise<Stand> {
    const clock = new ManualClock()
    const streamedLists = options.lists === 'streamed' ? 'served' : 'refused'
    const simulator = await new Simulator({ clock, streamedLists, ...options.simulator }).start()
    const stand = new Stand(simulator, clock, options)
    for (const name of ['a', 'b', 'c', 'd', 'e']) stand.create(name)
    stand.informer.start(stand.#stop.signal)
    return stand
  }

  create(name: string, data: Readonly<Record<string, string>> = {}): void {
    this.simulator.create({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'default', name }, data })
  }

  change(name: string, data: object): void {
    this.simulator.patch(this.#reference(name), { data })
  }

  delete(name: string): void {
    this.simulator.delete(this.#reference(name))
  }

  /** Lets time pass, taking what comes, until something holds. */
  async until(what: string, holds: () => boolean, { taking = true } = {}): Promise<void> {
    for (let step = 0; step < 10_000; step++) {
      if (taking) this.#take()
      if (holds()) return
      await this.clock.advance(100)
    }
    assert.fail(`not within 1,000 s: ${what}; asked: ${this.api.asked}; failures: ${this.failures}`)
  }

  /** Synced, and its watch is open. Forgets what led to it. */
  async settled(): Promise<Watch> {
    await this.until('synced', () => this.informer.hasSynced && this.#watch !== undefined && this.isCopy)
    for (const past of [this.told, this.api.asked, this.failures]) past.length = 0
    return this.#watch ?? assert.fail()
  }

  /** Until the consumer has what the server has, by a watch that is open. */
  async converged(): Promise<void> {
    await this.until(
      'converged',
      () => this.isCopy && this.#watch !== undefined && this.informer.status.type === 'synced',
    )
  }

  get gaps(): readonly string[] {
    return this.told.filter((delta) => delta.startsWith('Gap'))
  }

  /** Calls that brought a whole list. */
  get lists(): number {
    return this.api.asked.filter((call) => call === 'list' || call.startsWith('stream')).length
  }

  get isCopy(): boolean {
    const objects = this.simulator.list({ apiVersion: 'v1', kind: 'ConfigMap' })
    if (objects.length !== this.#copy.size) return false
    return objects.every(({ metadata }) => this.#copy.get(keyOf(metadata)) === metadata.resourceVersion)
  }

  get #watch(): Watch | undefined {
    return this.simulator.watches({ resource: 'configmaps' })[0]
  }

  #take(): void {
    for (let deltas = this.#reader.take(); deltas.length > 0; deltas = this.#reader.take())
      for (const delta of deltas) this.#apply(delta)
  }

  #apply(delta: Delta): void {
    if (delta.type !== 'Progress') this.told.push(inShort(delta))
    if (delta.type === 'Deleted') this.#copy.delete(keyOf(delta.identity))
    else if ('object' in delta) this.#copy.set(keyOf(delta.object.metadata), delta.object.metadata.resourceVersion)
  }

  #reference(name: string) {
    return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'default', name } }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.informer.stopped()
    await this.#client[Symbol.asyncDispose]()
    await this.simulator[Symbol.asyncDispose]()
  }
}

function inBothWays(name: string, prove: (lists: Lists) => Promise<void>): void {
  for (const lists of ['streamed', 'paged'] as const) test(`${name} (lists ${lists})`, () => prove(lists))
}

inBothWays('F01 410 at watch start: a list, the delete that was missed, one gap', async (lists) => {
  await using stand = await Stand.start({ lists })
  await stand.settled()
  stand.delete('a')
  stand.create('f')
  stand.simulator.restart()
  await stand.converged()
  assert.deepEqual(stand.gaps.length, 1)
  assert.ok(stand.told.some((delta) => /^Deleted default\/a@\d+ inferred$/.test(delta)))
  assert.deepEqual([stand.failures.includes('expired'), stand.lists], [true, 1])
})

inBothWays('F02 410 in the stream: the same', async (lists) => {
  await using stand = await Stand.start({ lists })
  await stand.settled()
  stand.delete('a')
  stand.create('f')
  stand.simulator.dropHistory()
  await stand.converged()
  assert.deepEqual([stand.gaps.length, stand.failures, stand.lists], [1, ['expired'], 1])
  assert.ok(stand.told.some((delta) => /^Deleted default\/a@\d+ inferred$/.test(delta)))
})

test('F03 410 on page 2 of a list: again from page 1, and it is one state', async () => {
  await using stand = await Stand.start({ lists: 'paged' })
  stand.simulator.faults.inject({ verb: 'list' }, { type: 'delay', delayMs: 1000 }, 2)
  await stand.until('page 2 is asked for', () => stand.api.asked.at(-1) === 'next page')
  stand.delete('a')
  stand.create('f')
  stand.simulator.compact()
  await stand.converged()
  assert.deepEqual(stand.api.asked.slice(0, 5), ['stream', 'list', 'next page', 'list', 'next page'])
  assert.deepEqual([stand.told.length, stand.gaps.length], [5, 0])
})

inBothWays('F04 history that is compacted every 5 minutes, for half an hour: no gap and no list', async (lists) => {
  await using stand = await Stand.start({ lists })
  await stand.settled()
  for (let round = 0; round < 6; round++) {
    stand.change('a', { round: String(round) })
    stand.create(`new-${round}`)
    for (let second = 0; second < 300; second++) await stand.clock.advance(1000)
    await stand.until('all has come', () => stand.isCopy)
    stand.simulator.compact()
  }
  await stand.converged()
  assert.deepEqual([stand.gaps, stand.failures, stand.lists, stand.told.length], [[], [], 0, 12])
  assert.ok(stand.api.asked.filter((call) => call === 'watch').length >= 3)
})

const busy: Failure = { code: 429, reason: 'TooManyRequests', message: 'busy', details: { retryAfterSeconds: 3 } }

inBothWays(
  'F05 429 with Retry-After, on lists and watches: waited for, then the same call; no list for it',
  async (lists) => {
    await using stand = await Stand.start({ lists })
    stand.simulator.faults.inject({ resource: 'configmaps' }, { type: 'fail', failure: busy }, 3)
    const watch = await stand.settled()
    assert.ok(stand.clock.monotonic() >= 3 * 3000)
    stand.simulator.faults.inject({ resource: 'configmaps' }, { type: 'fail', failure: busy }, 2)
    watch.close()
    stand.change('a', { k: 'v' })
    await stand.converged()
    assert.deepEqual(stand.api.asked, ['watch', 'watch', 'watch'])
    assert.deepEqual([stand.failures, stand.gaps], [['throttled', 'throttled'], []])
  },
)

for (const [what, fault, code] of [
  ['500', { type: 'fail', failure: { code: 500, message: 'broken' } }, 'server'],
  ['503', { type: 'fail', failure: { code: 503, reason: 'ServiceUnavailable', message: 'no' } }, 'unavailable'],
  ['a connection that is reset', { type: 'reset' }, 'reset'],
] as const) {
  inBothWays(`F06 ${what}, on lists and watches: back-off, no gap, no other list`, async (lists) => {
    await using stand = await Stand.start({ lists })
    stand.simulator.faults.inject({ resource: 'configmaps' }, fault, 4)
    const watch = await stand.settled()
    stand.simulator.faults.inject({ verb: 'watch' }, fault, 3)
    watch.close()
    stand.change('a', { k: 'v' })
    await stand.converged()
    assert.deepEqual([stand.failures, stand.gaps, stand.lists], [[code, code, code], [], 0])
  })
}

const tooLarge: Failure = {
  code: 504,
  reason: 'Timeout',
  message: 'Timeout: Too large resource version: 9, current: 8',
  details: {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  },
}

inBothWays('F07 504 too large: a list asks for the newest state, a watch waits; no gap is made up', async (lists) => {
  await using stand = await Stand.start({ lists })
  stand.simulator.faults.inject({ resource: 'configmaps' }, { type: 'fail', failure: tooLarge }, 2)
  const watch = await stand.settled()
  stand.simulator.faults.inject({ verb: 'watch' }, { type: 'fail', failure: tooLarge }, 2)
  watch.close()
  stand.change('a', { k: 'v' })
  await stand.converged()
  assert.deepEqual(stand.api.asked, ['watch', 'watch', 'watch'])
  assert.deepEqual(stand.gaps, [])
})

inBothWays('F08 a connection that is half open: noticed 150 s after its last byte; nothing is lost', async (lists) => {
  await using stand = await Stand.start({ lists })
  const watch = await stand.settled()
  for (let second = 0; second < 70; second++) await stand.clock.advance(1000)
  watch.stall()
  const silentSince = stand.clock.monotonic()
  stand.change('a', { k: 'v' })
  stand.delete('b')
  await stand.until('the silence is noticed', () => stand.failures.length > 0)
  const afterMs = stand.clock.monotonic() - silentSince
  assert.ok(afterMs > 100_000 && afterMs <= 151_000, `after ${afterMs} ms`)
  await stand.until('converged', () => stand.isCopy)
  assert.deepEqual([stand.failures, stand.gaps, stand.api.asked], [['idle'], [], ['check', 'watch']])
})

inBothWays('F09 a quiet connection that is cut: the watch goes on where it was, without a list', async (lists) => {
  await using stand = await Stand.start({ lists })
  for (let cut = 0; cut < 3; cut++) {
    // the first watch after a cut is a short one
    for (let second = 0; second < 50; second++) await stand.clock.advance(1000)
    const watch = await stand.settled()
    for (let second = 0; second < 50; second++) await stand.clock.advance(1000)
    watch.reset()
    stand.change('a', { cut: String(cut) })
    await stand.until('converged', () => stand.isCopy)
    assert.deepEqual([stand.failures, stand.gaps, stand.api.asked], [['reset'], [], ['check', 'watch']])
  }
})

for (const then of ['close', 'reset'] as const) {
  inBothWays(`F11 a line that is cut off, then ${then}: read again from the last whole one`, async (lists) => {
    await using stand = await Stand.start({ lists })
    const watch = await stand.settled()
    watch.truncate(then)
    stand.change('a', { k: 'v' })
    stand.delete('b')
    await stand.converged()
    assert.deepEqual([stand.failures, stand.gaps, stand.lists], [['reset'], [], 0])
    assert.deepEqual(stand.told.length, 2)
  })
}

inBothWays('F14 a consumer so slow that the server ends its watch and forgets: one list, one gap', async (lists) => {
  const large = 'x'.repeat(100_000)
  await using stand = await Stand.start({
    lists,
    simulator: { historyLength: 50 },
    informer: { queueEntries: 5 },
  })
  await stand.settled()
  const writes = 400
  for (let write = 0; write < writes; write++) {
    stand.change('a', { large, write: String(write) })
    await stand.clock.advance(10)
  }
  stand.delete('b')
  await stand.converged()
  assert.equal(stand.gaps.length, 1)
  const versions = stand.told.filter((delta) => delta.startsWith('Updated default/a')).length
  assert.ok(versions > 5 && versions < writes, `${versions} versions of ${writes} were seen`)
  assert.ok(stand.told.some((delta) => delta.startsWith('Deleted default/b')))
})
