/** What may happen to a worker, as data: what it is offered and when, what its target does, and how it is configured. */
import fc from 'fast-check'
import { type DeliveryErrorCode, deliveryErrors } from '../errors.ts'

/** What the target does with an attempt, or with one event of it. */
export interface Fate {
  readonly latencyMs: number
  /** `unknown`: it throws something that is no DeliveryError. `no event`: it names an event that is not in the batch. */
  readonly code: DeliveryErrorCode | 'ok' | 'unknown' | 'no event'
  /** Of the whole batch, or of each of its events for itself: then each has a fate of its own. */
  readonly about: 'batch' | 'event'
  /** What fails was taken all the same: its answer was lost. */
  readonly lands: boolean
  /** When its time is up: it never lands, or goes on and lands, and then says what came of it or fails. */
  readonly whenAborted: 'stops' | 'answers' | 'throws'
  readonly retryAfterMs: number | undefined
}

/** Of every attempt while the target answers all alike. `nothing`: it does not answer in time. */
export function fateOf(answer: Exclude<Extract<Step, { type: 'answers' }>['with'], 'script'>): Fate {
  if (answer === 'nothing') return { ...well, latencyMs: 20_000, whenAborted: 'stops' }
  return { ...well, latencyMs: 1_000, code: answer, lands: false }
}

/** What comes after the script: so that every history comes to an end. */
export const well: Fate = {
  latencyMs: 1,
  code: 'ok',
  about: 'batch',
  lands: true,
  whenAborted: 'answers',
  retryAfterMs: undefined,
}

export type Step =
  /** `again` says whether an object that is gone comes back as itself (it left a selector) or as another one. */
  | {
      readonly type: 'write'
      readonly stream: 0 | 1
      readonly object: number
      readonly bytes: number
      readonly size: 'fixed' | 'degradable'
      readonly again: 'same' | 'another'
    }
  | { readonly type: 'delete'; readonly stream: 0 | 1; readonly object: number }
  | { readonly type: 'item'; readonly stream: 0 | 1; readonly object: number }
  | {
      readonly type: 'mark'
      readonly stream: 0 | 1
      readonly kind: 'begin' | 'end' | 'aborted' | 'expired' | 'restored'
    }
  /** An offer of no stream, as a replay is one, that is withdrawn if it was not accepted by the next pause. */
  | { readonly type: 'withdrawn'; readonly object: number }
  /** From now on every attempt has this fate, until another step says otherwise; `script`: as the fates say. */
  | { readonly type: 'answers'; readonly with: 'script' | 'unavailable' | 'failed' | 'rejected' | 'nothing' }
  | { readonly type: 'pass'; readonly ms: number }
  /** Everything after it is refused. */
  | { readonly type: 'close'; readonly deadlineMs: number }

export interface Settings {
  readonly whenFull: 'block' | 'coalesce'
  readonly order: 'key' | 'none'
  readonly sameKeyInBatch: boolean
  readonly concurrency: number
  readonly batchEvents: number
  readonly lingerMs: number
  readonly queueEvents: number
  readonly queueBytes: number
  readonly maxEventBytes: number
  readonly giveUpAfterMs: number
  /** How long the store takes to keep a letter; 0: it has it at once. */
  readonly letterMs: number
  /** Random numbers of the worker, again and again. */
  readonly jitter: readonly number[]
}

export interface History {
  readonly steps: readonly Step[]
  readonly fates: readonly Fate[]
  readonly settings: Settings
}

const one = <const T>(...values: T[]) => fc.constantFrom(...values)
const type = <const T extends string>(name: T) => fc.constant(name)

const fate: fc.Arbitrary<Fate> = fc.record({
  latencyMs: fc.oneof(
    { weight: 8, arbitrary: fc.nat(30) },
    { weight: 1, arbitrary: one(14_999, 15_000, 15_001, 20_000, 100_000) },
  ),
  code: fc.oneof(
    { weight: 12, arbitrary: one('ok') },
    { weight: 8, arbitrary: one('unknown', 'no event', ...(Object.keys(deliveryErrors) as DeliveryErrorCode[])) },
  ),
  about: one('batch', 'event'),
  lands: fc.boolean(),
  whenAborted: one('stops', 'answers', 'throws'),
  retryAfterMs: fc.oneof({ weight: 6, arbitrary: one(undefined) }, { weight: 1, arbitrary: one(0, 1_000, 90_000) }),
})

const stream = one(0, 1)
const object = fc.nat(4)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      type: type('write'),
      stream,
      object,
      bytes: fc.integer({ min: 10, max: 120 }),
      size: one('fixed', 'fixed', 'degradable'),
      again: one('same', 'another'),
    }),
  },
  { weight: 3, arbitrary: fc.record({ type: type('delete'), stream, object }) },
  { weight: 2, arbitrary: fc.record({ type: type('item'), stream, object }) },
  {
    weight: 3,
    arbitrary: fc.record({
      type: type('mark'),
      stream,
      kind: one('begin', 'begin', 'end', 'end', 'aborted', 'expired', 'restored'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: type('withdrawn'), object }) },
  {
    weight: 2,
    arbitrary: fc.record({
      type: type('answers'),
      with: one('script', 'script', 'unavailable', 'unavailable', 'failed', 'rejected', 'nothing'),
    }),
  },
  { weight: 4, arbitrary: fc.record({ type: type('pass'), ms: fc.oneof(fc.nat(50), fc.nat(2_000), fc.nat(60_000)) }) },
)

const settings: fc.Arbitrary<Settings> = fc.record({
  whenFull: one('block', 'coalesce'),
  order: one('key', 'key', 'key', 'none'),
  sameKeyInBatch: fc.boolean(),
  concurrency: fc.integer({ min: 1, max: 4 }),
  batchEvents: fc.integer({ min: 1, max: 4 }),
  lingerMs: one(0, 5),
  queueEvents: fc.integer({ min: 4, max: 60 }),
  queueBytes: one(300, 1_000, 100_000),
  maxEventBytes: one(100, 1_000_000),
  giveUpAfterMs: one(2_000, 30_000, 3_600_000),
  letterMs: one(0, 0, 3_000),
  jitter: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 8 }),
})

const close: fc.Arbitrary<Step> = fc.record({ type: type('close'), deadlineMs: one(0, 10, 1_000, 20_000) })

/** Every third one is closed in the middle of something. */
export const history: fc.Arbitrary<History> = fc
  .record({
    steps: fc.array(step, { minLength: 1, maxLength: 100, size: 'max' }),
    fates: fc.array(fate, { maxLength: 60, size: 'max' }),
    settings,
    ends: fc.option(close, { freq: 2 }),
  })
  .map(({ ends, ...rest }) => ({ ...rest, steps: ends ? [...rest.steps, ends] : rest.steps }))
