/** For tests: a target that does what the test says, and events to send to it. */
import type { Disk } from '../journal/disk.ts'
import { ManualClock } from '../lib/manual-clock.ts'
import { DeadLetterRing, type DeadLetterStore } from './dead-letters.ts'
import type { Outcome } from './entry.ts'
import type { DeliveryObserver, SinkState } from './observer.ts'
import type { WorkerOptions } from './options.ts'
import type { Failure, OutboundEvent, Sink, SinkLimits } from './sink.ts'
import { SinkWorker } from './worker.ts'

/** A call of `deliver` that the test answers. */
export interface PendingAttempt {
  /** The ids of the batch. */
  readonly ids: readonly string[]
  readonly signal: AbortSignal
  /** All are accepted, but for these. */
  answer(failures?: readonly Failure[]): void
  throw(error: unknown): void
}

/** Answers by itself with what `respond` returns or throws; without it, each attempt waits for the test. */
export class ScriptedSink implements Sink {
  readonly attempts: PendingAttempt[] = []
  /** Ids of every batch, in the order in which they were sent. */
  readonly sent: (readonly string[])[] = []
  connects = 0
  disposed = 0
  respond: ((batch: readonly OutboundEvent[]) => readonly Failure[] | Promise<readonly Failure[]>) | undefined
  onConnect: ((signal: AbortSignal) => Promise<void>) | undefined

  async connect(signal: AbortSignal): Promise<void> {
    this.connects++
    await this.onConnect?.(signal)
  }

  async deliver(
    batch: readonly OutboundEvent[],
    { signal }: { readonly signal: AbortSignal },
  ): Promise<readonly Failure[]> {
    const ids = batch.map((event) => event.attributes.id)
    this.sent.push(ids)
    if (this.respond) return await this.respond(batch)
    const { promise, resolve, reject } = Promise.withResolvers<readonly Failure[]>()
    const attempt = {
      ids,
      signal,
      answer: (failures: readonly Failure[] = []) => settle(() => resolve(failures)),
      throw: (error: unknown) => settle(() => reject(error)),
    }
    const settle = (how: () => void) => {
      this.attempts.splice(this.attempts.indexOf(attempt), 1)
      how()
    }
    this.attempts.push(attempt)
    return await promise
  }

  /** The pending attempt that holds this event. */
  attempt(id: string): PendingAttempt {
    const attempt = this.attempts.find(({ ids }) => ids.includes(id))
    if (!attempt) throw new Error(`${id} is not under way, but ${JSON.stringify(this.attempts.map(({ ids }) => ids))}`)
    return attempt
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.disposed++
  }
}

export type EventOptions = Partial<
  Pick<OutboundEvent, 'kind' | 'stream' | 'smaller' | 'aborted' | 'dataBytes' | 'supersedes' | 'merge' | 'key'>
>

/** An event of `dataBytes` bytes (10 if absent). */
export function event(id: string, key: string, options: EventOptions = {}): OutboundEvent {
  const dataBytes = options.dataBytes ?? 10
  return {
    attributes: {
      specversion: '1.0',
      id,
      source: 'kubernetes://test/api/v1/pods',
      type: 'io.deltawire.object.updated.v1',
      datacontenttype: 'application/json',
      dataschema: 'urn:deltawire:schema:object:v1',
      time: '2026-01-01T00:00:00Z',
    },
    key,
    stream: 'pods',
    kind: 'change',
    data: `"${'x'.repeat(dataBytes - 2)}"`,
    dataBytes,
    ...options,
  }
}

export type What = 'added' | 'updated' | 'deleted'

/** Version `n` of an object, as `<uid>:<n>`; a merged one has the id of the newest, and `collapsed`. */
export function version(uid: string, n: number, what: What = 'updated', options: EventOptions = {}): OutboundEvent {
  const plain = event(`${uid}:${n}`, options.key ?? uid, options)
  const attributes = { ...plain.attributes, uid, type: `io.deltawire.object.${what}.v1` }
  return { ...plain, attributes, merge: (newer) => mergeVersions({ ...plain, attributes }, newer) }
}

function mergeVersions(first: OutboundEvent, newer: OutboundEvent): OutboundEvent | undefined {
  const [from, to] = [first.attributes, newer.attributes]
  if (from.uid !== to.uid || from.uid === undefined) return undefined
  const ends = (type: string) => type.includes('deleted')
  if (ends(from.type) && !ends(to.type)) return undefined
  const attributes = { ...to, collapsed: true, type: ends(to.type) ? to.type : from.type }
  const merged: OutboundEvent = {
    ...newer,
    attributes,
    smaller: () => {
      const form = newer.smaller?.()
      return form && { ...form, attributes }
    },
    merge: (newest) => mergeVersions(merged, newest),
  }
  return merged
}

export const defaults: WorkerOptions = {
  name: 'audit',
  order: 'key',
  concurrency: 16,
  timeoutMs: 15_000,
  batch: { events: 1, bytes: 1_000_000, lingerMs: 0 },
  queue: { events: 10_000, bytes: 64 * 2 ** 20, whenFull: 'block' },
  retry: { initialMs: 500, maxMs: 300_000, giveUpAfterMs: 3_600_000 },
  maxEventBytes: 1_000_000,
}

export interface Bench {
  readonly clock: ManualClock
  readonly sink: ScriptedSink
  readonly worker: SinkWorker
  readonly deadLetters: DeadLetterRing
  /** Outcomes by id, in the order of the acks; more than one for an id is a fault. */
  readonly acks: [id: string, outcome: Outcome][]
  readonly states: SinkState[]
  /** Ids of accepted events, in order. */
  readonly accepted: string[]
  /** Why offers were rejected. */
  readonly refused: unknown[]
  /** Offers the events one after the other without waiting for acceptance. */
  offer(...events: OutboundEvent[]): void
  /** Lets everything happen that needs no time. */
  settle(): Promise<void>
}

export interface BenchOptions {
  readonly options?: Partial<Omit<WorkerOptions, 'queue'>> & { readonly queue?: Partial<WorkerOptions['queue']> }
  readonly sameKeyInBatch?: boolean
  /** @default 1: a delay is as long as it can be. */
  readonly random?: () => number
  readonly observer?: Partial<DeliveryObserver>
  readonly sink?: ScriptedSink
  /** Instead of the ring. */
  readonly store?: DeadLetterStore
  /** Of a spool. */
  readonly disk?: Disk
}

/** A worker over a scripted sink, connected, on a clock that stands still. `sizeOf` is the data's size. */
export async function bench(settings: BenchOptions = {}): Promise<Bench> {
  const clock = new ManualClock()
  const sink = settings.sink ?? new ScriptedSink()
  const deadLetters = new DeadLetterRing()
  const states: SinkState[] = []
  const limits: SinkLimits = {
    maxEventBytes: 1_000_000,
    maxBatchEvents: 1000,
    maxBatchBytes: 1_000_000,
    sizeOf: ({ dataBytes }) => dataBytes,
    sameKeyInBatch: settings.sameKeyInBatch ?? false,
    concurrency: 16,
  }
  const observer: DeliveryObserver = {
    attempt() {},
    sent() {},
    retry() {},
    deadLetter() {},
    degraded() {},
    merged() {},
    overflowed() {},
    spool() {},
    state: (state) => states.push(state),
    ...settings.observer,
  }
  const worker = new SinkWorker(
    { ...defaults, ...settings.options, queue: { ...defaults.queue, ...settings.options?.queue } },
    {
      sink,
      limits,
      clock,
      deadLetters: settings.store ?? deadLetters,
      observer,
      random: settings.random ?? (() => 1),
      ...(settings.disk && { disk: settings.disk }),
    },
  )
  const acks: [string, Outcome][] = []
  const accepted: string[] = []
  const refused: unknown[] = []
  const { signal } = new AbortController()
  const settle = () => clock.advance(0)
  await settle()
  return {
    clock,
    sink,
    worker,
    deadLetters,
    acks,
    states,
    settle,
    accepted,
    refused,
    offer: (...events) => {
      for (const one of events) {
        const { id } = one.attributes
        void worker
          .offer(one, (outcome) => acks.push([id, outcome]), signal)
          .then(
            () => accepted.push(id),
            (reason: unknown) => refused.push(reason),
          )
      }
    },
  }
}
