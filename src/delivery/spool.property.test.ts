/** A spool over random targets and processes that are killed anywhere: whatever happens, held against what was accepted. */
import assert from 'node:assert/strict'
import { cp, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { eventually } from '../../test/support/eventually.ts'
import { type TemporaryFolder, temporaryFolder } from '../journal/testing/kit.ts'
import { ManualClock } from '../lib/manual-clock.ts'
import { DeadLetterRing } from './dead-letters.ts'
import { noObserver } from './observer.ts'
import { defaults, event } from './scripted-sink.ts'
import { DeliveryError, type DeliveryErrorCode, type OutboundEvent, type Sink } from './sink.ts'
import { SinkWorker } from './worker.ts'

type Step =
  | {
      readonly type: 'offer'
      readonly stream: number
      readonly what: 'change' | 'gap' | 'restored'
      readonly key: number
      readonly bytes: number
    }
  | { readonly type: 'pass'; readonly ms: number }
  | { readonly type: 'kill' }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.record({
      type: fc.constant('offer' as const),
      stream: fc.nat(1),
      what: fc.oneof(
        { weight: 30, arbitrary: fc.constant('change' as const) },
        fc.constantFrom('gap' as const, 'restored' as const),
      ),
      key: fc.nat(3),
      bytes: fc.integer({ min: 10, max: 3_000 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ type: fc.constant('pass' as const), ms: fc.constantFrom(0, 10, 200, 6_000) }) },
  { weight: 1, arbitrary: fc.constant({ type: 'kill' } as const) },
)

const code = fc.oneof(
  { weight: 6, arbitrary: fc.constant('ok' as const) },
  { weight: 2, arbitrary: fc.constantFrom(...(['failed', 'unavailable', 'rejected'] as const)) },
)

const settings = fc.record({
  queueEvents: fc.integer({ min: 2, max: 12 }),
  concurrency: fc.integer({ min: 1, max: 3 }),
  spoolBytes: fc.constantFrom(20_000, 60_000, 1_000_000),
  fsync: fc.constantFrom('always' as const, 'interval' as const, 'none' as const),
})
type Settings = typeof settings extends fc.Arbitrary<infer S> ? S : never

/** What all processes have done to one target. */
class World {
  readonly landed: { readonly n: number; readonly process: number }[] = []
  readonly givenUp = new Set<number>()
  readonly #codes: readonly (DeliveryErrorCode | 'ok')[]
  #attempts = 0

  constructor(codes: readonly (DeliveryErrorCode | 'ok')[]) {
    this.#codes = codes
  }

  /** The script, then only success. */
  nextCode(): DeliveryErrorCode | 'ok' {
    return this.#codes[this.#attempts++] ?? 'ok'
  }
}

interface Offer {
  readonly n: number
  readonly key: string
  readonly stream: string
  readonly restores: boolean
  accepted: boolean
}

/** One process. */
class Run {
  readonly clock = new ManualClock()
  readonly worker: SinkWorker
  readonly acks = new Map<number, number>()
  #alive = true
  readonly #id: number

  constructor(id: number, path: string, world: World, { queueEvents, concurrency, spoolBytes, fsync }: Settings) {
    this.#id = id
    const { clock } = this
    const sink: Sink = {
      connect: async () => undefined,
      deliver: async ([one]) => {
        await new Promise<void>((resolve) => clock.after(5, resolve))
        if (!one || !this.#alive) throw new DeliveryError('unavailable', 'killed')
        const found = world.nextCode()
        if (found !== 'ok') return [{ index: 0, error: new DeliveryError(found, 'no') }]
        world.landed.push({ n: Number(one.attributes.id), process: this.#id })
        return []
      },
      [Symbol.asyncDispose]: async () => undefined,
    }
    const spool = { path, bytes: spoolBytes, fsync }
    this.worker = new SinkWorker(
      { ...defaults, concurrency, queue: { events: queueEvents, bytes: 100_000, whenFull: 'spool', spool } },
      {
        sink,
        limits: {
          maxEventBytes: 1_000_000,
          maxBatchEvents: 1,
          maxBatchBytes: 1_000_000,
          sizeOf: ({ dataBytes }: OutboundEvent) => dataBytes,
          sameKeyInBatch: false,
          concurrency,
        },
        clock,
        deadLetters: new DeadLetterRing(),
        observer: {
          ...noObserver,
          deadLetter: ({ event: one }) => {
            if (this.#alive) world.givenUp.add(Number(one.attributes.id))
          },
        },
        random: () => 0.5,
      },
    )
    this.worker.failed.catch(() => undefined)
  }

  offer(one: Offer, bytes: number, kind: OutboundEvent['kind']): void {
    const supersedes = one.restores && ({ supersedes: 'stream' } as const)
    const offered = event(`${one.n}`, one.key, { kind, stream: one.stream, dataBytes: bytes, ...supersedes })
    const ack = () => void this.acks.set(one.n, (this.acks.get(one.n) ?? 0) + 1)
    this.worker.offer(offered, ack, new AbortController().signal).then(
      () => {
        if (this.#alive) one.accepted = true
      },
      () => undefined,
    )
  }

  /** From now on nothing of what it does counts. */
  async end(): Promise<void> {
    this.#alive = false
    const closed = this.worker.close(AbortSignal.abort())
    await this.clock.advance(60_000)
    await closed
  }

  die(): void {
    this.#alive = false
  }
}

/** What is on disk at this moment, as a kill leaves it: the cursor first, it never says more than is true. */
async function imageOf(folder: string): Promise<TemporaryFolder> {
  const image = await temporaryFolder()
  const names = (await readdir(folder)).filter((name) => name === 'cursor' || name.endsWith('.log')).sort()
  for (const name of ['cursor', ...names.filter((one) => one !== 'cursor')]) {
    await cp(join(folder, name), join(image.path, name)).catch(() => undefined) // deleted meanwhile, or not there yet
  }
  return image
}

test('P1 P2 P4 P7 what was accepted arrives, in order, wherever the process is killed, and is acknowledged once', async () => {
  let kills = 0
  let repeated = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 10, maxLength: 80, size: 'max' }),
      fc.array(code, { maxLength: 40 }),
      settings,
      async (steps, codes, options) => {
        const world = new World(codes)
        const folders = [await temporaryFolder()]
        const offers: Offer[] = []
        let run = new Run(0, folders[0]?.path ?? '', world, options)
        for (const one of steps) {
          if (one.type === 'pass') await run.clock.advance(one.ms)
          else if (one.type === 'offer') {
            const stream = `s${one.stream}`
            const key = one.what === 'change' ? `${stream}/${one.key}` : `${stream}:gap`
            const offer = { n: offers.length, key, stream, restores: one.what === 'restored', accepted: false }
            offers.push(offer)
            run.offer(offer, one.bytes, one.what === 'change' ? 'change' : 'gap')
          } else {
            run.die()
            kills++
            const image = await imageOf(folders.at(-1)?.path ?? '')
            await run.end()
            folders.push(image)
            run = new Run(folders.length - 1, image.path, world, options)
          }
          const { queueEvents } = run.worker.stats()
          assert.ok(queueEvents <= Math.max(1, options.queueEvents), `P7: ${queueEvents} events in memory`)
        }
        const isOver = () => {
          const { spool, blockedOffers } = run.worker.stats()
          return spool?.events === 0 && blockedOffers === 0 && spool.problem === undefined
        }
        await run.worker.spooledPositions
        const settle = async () => {
          await run.clock.advance(5_000)
          return isOver()
        }
        await eventually(settle, { what: 'everything is settled', withinMs: 60_000 })

        const arrived = new Set(world.landed.map(({ n }) => n))
        for (const { n, stream, accepted } of offers) {
          const isVoid = offers.some((later) => later.n > n && later.stream === stream && later.restores)
          if (accepted && !isVoid) assert.ok(arrived.has(n) || world.givenUp.has(n), `P1: ${n} is lost`)
        }
        for (const [n, count] of run.acks) assert.equal(count, 1, `${n} is acknowledged ${count} times`)
        for (let process = 0; process < folders.length; process++) {
          const last = new Map<string, number>()
          for (const { n } of world.landed.filter((landing) => landing.process === process)) {
            const key = offers[n]?.key ?? ''
            assert.ok(n > (last.get(key) ?? -1), `P2: ${n} landed after ${last.get(key)} of ${key}`)
            last.set(key, n)
          }
        }
        repeated += world.landed.length - arrived.size
        await run.end()
        for (const folder of folders) await folder[Symbol.asyncDispose]()
      },
    ),
    { numRuns: 25 },
  )
  assert.ok(kills > 10, `${kills} kills`)
  console.info(JSON.stringify({ kills, repeated }))
})
