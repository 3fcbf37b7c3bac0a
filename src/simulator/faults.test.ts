import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Agent, request } from 'undici'
import { ManualClock } from '../lib/manual-clock.ts'
import { Simulator, type SimulatorOptions } from './simulator.ts'

/** A simulator, and a client whose connections end with the test. */
class Bench implements AsyncDisposable {
  readonly simulator: Simulator
  readonly agent = new Agent()

  private constructor(simulator: Simulator) {
    this.simulator = simulator
  }

  static async start(options: SimulatorOptions = {}): Promise<Bench> {
    return new Bench(await new Simulator(options).start())
  }

  get(path: string, signal: AbortSignal = AbortSignal.timeout(20_000)) {
    return request(`${this.simulator.url}${path}`, { dispatcher: this.agent, signal })
  }

  async status(path: string): Promise<number> {
    const { statusCode, body } = await this.get(path)
    await body.dump()
    return statusCode
  }

  /** Opens a watch from now on. Resolves when the server has it. */
  async watch(signal?: AbortSignal) {
    const { body } = await this.get(`${PODS}?watch=true&resourceVersion=${this.simulator.resourceVersion}`, signal)
    return body
  }

  create(name: string): void {
    this.simulator.create({ apiVersion: 'v1', kind: 'Pod', metadata: { namespace: 'default', name } })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.agent.destroy()
    await this.simulator[Symbol.asyncDispose]()
  }
}

const PODS = '/api/v1/pods'
const BUSY = { code: 429, reason: 'TooManyRequests', message: 'busy', details: { retryAfterSeconds: 3 } } as const

test('the next N matching calls fail with the status and its Retry-After, others do not', async () => {
  await using bench = await Bench.start()
  bench.simulator.faults.inject({ verb: 'list', resource: 'pods' }, { type: 'fail', failure: BUSY }, 2)
  assert.equal(await bench.status('/api/v1/configmaps'), 200)
  const { statusCode, headers, body } = await bench.get(PODS)
  assert.deepEqual([statusCode, headers['retry-after']], [429, '3'])
  assert.deepEqual(await body.json(), { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', ...BUSY })
  assert.equal(await bench.status(PODS), 429)
  assert.equal(await bench.status(PODS), 200)
})

test('a fault without a number lasts until it is disposed', async () => {
  await using bench = await Bench.start()
  {
    using _ = bench.simulator.faults.inject({}, { type: 'fail', failure: BUSY })
    for (let call = 0; call < 3; call++) assert.equal(await bench.status(PODS), 429)
  }
  assert.equal(await bench.status(PODS), 200)
})

test('a reset cuts the connection before an answer', async () => {
  await using bench = await Bench.start()
  bench.simulator.faults.inject({ resource: 'pods' }, { type: 'reset' }, 1)
  await assert.rejects(bench.status(PODS), { code: /ECONNRESET|UND_ERR_SOCKET/ })
  assert.equal(await bench.status(PODS), 200)
})

test('a black hole never answers, while other calls are served', async () => {
  await using bench = await Bench.start()
  bench.simulator.faults.inject({ resource: 'pods' }, { type: 'black-hole' })
  const stop = new AbortController()
  const hanging = bench.get(PODS, stop.signal)
  assert.equal(await bench.status('/api/v1/configmaps'), 200)
  stop.abort(new Error('enough'))
  await assert.rejects(hanging, /enough/)
})

test('a delayed call is answered when the time has passed', async () => {
  const clock = new ManualClock()
  await using bench = await Bench.start({ clock })
  bench.simulator.faults.inject({ resource: 'pods' }, { type: 'delay', delayMs: 5_000 })
  const answer = bench.status(PODS)
  while (clock.pending === 0) await bench.status('/api/v1/configmaps')
  await clock.advance(5_000)
  assert.equal(await answer, 200)
})

test('a watch that is closed has sent everything before, and ends properly', async () => {
  await using bench = await Bench.start()
  const watch = await bench.watch()
  bench.create('a')
  bench.simulator.watches({ resource: 'pods' })[0]?.close()
  assert.match(await watch.text(), /^\{"type":"ADDED".*\}\n$/)
  assert.deepEqual(bench.simulator.watches(), [])
})

test('a watch that is reset ends with an error', async () => {
  await using bench = await Bench.start()
  const watch = await bench.watch()
  bench.simulator.watches()[0]?.reset()
  await assert.rejects(watch.text(), { code: /ECONNRESET|UND_ERR_SOCKET/ })
})

test('an ERROR frame is the last, and what was not sent before is not sent', async () => {
  await using bench = await Bench.start()
  const watch = await bench.watch()
  bench.simulator.watches()[0]?.error({ code: 500, message: 'storage is broken' })
  bench.create('a')
  const status = {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: 'storage is broken',
    code: 500,
  }
  assert.deepEqual(JSON.parse(await watch.text()), { type: 'ERROR', object: status })
})

test('a truncated watch ends in the middle of a line, properly or not', async () => {
  await using bench = await Bench.start()
  const closed = await bench.watch()
  bench.simulator.watches()[0]?.truncate('close')
  bench.create('a')
  const half = await closed.text()
  assert.match(half, /^\{"type":"ADDED"/)
  assert.ok(!half.includes('\n'))
  const cut = await bench.watch()
  bench.simulator.watches()[0]?.truncate('reset')
  bench.create('b')
  await assert.rejects(cut.text(), { code: /ECONNRESET|UND_ERR_SOCKET/ })
})

test('a stalled watch sends nothing, not even bookmarks, and stays open', async () => {
  const clock = new ManualClock()
  await using bench = await Bench.start({ clock, bookmarkIntervalMs: 1_000 })
  const { body } = await bench.get(
    `${PODS}?watch=true&allowWatchBookmarks=true&resourceVersion=${bench.simulator.resourceVersion}`,
  )
  const [open] = bench.simulator.watches()
  open?.stall()
  bench.create('a')
  await clock.advance(10_000)
  assert.equal(bench.simulator.watches().length, 1)
  open?.close()
  assert.equal(await body.text(), '')
})

test('bookmarks come by the clock, at the newest version of the server', async () => {
  const clock = new ManualClock()
  await using bench = await Bench.start({ clock, bookmarkIntervalMs: 60_000 })
  const { body } = await bench.get(
    `${PODS}?watch=true&allowWatchBookmarks=true&resourceVersion=${bench.simulator.resourceVersion}`,
  )
  bench.simulator.create({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { namespace: 'default', name: 'another-resource' },
  })
  await clock.advance(60_000)
  bench.simulator.watches()[0]?.close()
  const metadata = { resourceVersion: bench.simulator.resourceVersion }
  assert.deepEqual(JSON.parse(await body.text()), {
    type: 'BOOKMARK',
    object: { kind: 'Pod', apiVersion: 'v1', metadata },
  })
})

test('dropped history ends watches with 410, and refuses to begin one before now', async () => {
  await using bench = await Bench.start()
  const then = bench.simulator.resourceVersion
  const watch = await bench.watch()
  bench.create('a')
  bench.simulator.dropHistory()
  assert.match(await watch.text(), /"reason":"Expired","code":410/)
  const again = await bench.get(`${PODS}?watch=true&resourceVersion=${then}`)
  assert.match(await again.body.text(), /^\{"type":"ERROR".*"code":410/)
})

test('a restart cuts connections and forgets what watches could replay, but not what lists can show', async () => {
  await using bench = await Bench.start()
  const then = bench.simulator.resourceVersion
  const watch = await bench.watch()
  bench.create('a')
  bench.simulator.restart()
  await assert.rejects(watch.text())
  assert.match(await (await bench.get(`${PODS}?watch=true&resourceVersion=${then}`)).body.text(), /"code":410/)
  assert.equal(await bench.status(`${PODS}?resourceVersion=${then}&resourceVersionMatch=Exact`), 200)
})

test('a watch whose client reads nothing is closed once the history has run past it', async () => {
  await using bench = await Bench.start({ historyLength: 50 })
  const watch = await bench.watch()
  const data = { k: 'x'.repeat(100_000) }
  for (let index = 0; index < 400; index++) {
    bench.simulator.create({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { namespace: 'default', name: `p${index}`, annotations: data },
    })
    if (index % 50 === 49) await bench.status('/api/v1/configmaps')
  }
  const lines = (await watch.text()).split('\n').filter((line) => line !== '')
  assert.ok(lines.length < 400, `${lines.length} frames`)
  for (const line of lines) JSON.parse(line)
})
