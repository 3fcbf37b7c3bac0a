/** What a seed of the oracle suite does: everything that is drawn, before anything runs. */
import { seeded } from './random-operations.ts'

export type Policy = 'coalesce' | 'block' | 'spool'

export interface SinkPlan {
  readonly required: boolean
  readonly whenFull: Policy
  readonly queueEvents: number
  /** How often an event is answered in another way than with 204, each at its first attempts. */
  readonly faults: FaultRates
}

/** Probabilities per attempt. */
export interface FaultRates {
  readonly unavailable: number
  readonly throttled: number
  readonly reset: number
  readonly ackLost: number
  readonly slow: number
}

/**
 * When the bridge is ended: at this write of the round; as this request reaches a sink, before it is answered; or when
 * all is written, and the bridge has noted how far each sink is.
 */
export type Moment =
  | { readonly type: 'noted' }
  | { readonly type: 'write'; readonly number: number }
  | { readonly type: 'request'; readonly number: number }

export type Happening =
  | { readonly type: 'nothing' }
  /** The API server dies and comes back, in the middle of the round's writes. */
  | { readonly type: 'server restart' }
  /** The bridge is held still while the round is written and the server forgets its history. */
  | { readonly type: 'held' }
  | {
      readonly type: 'bridge ends'
      readonly signal: 'SIGKILL' | 'SIGTERM'
      readonly at: Moment
      /** Writes while it is away. */
      readonly away: number
      /** Whether the server forgets its history before the bridge is back. */
      readonly forgets: boolean
      /** The new one is killed as this request of it reaches a sink, or when it is ready, whichever is first. */
      readonly again?: number
    }

export interface Round {
  readonly writes: number
  /** One sink that answers nothing but this throughout the round. */
  readonly down?: { readonly sink: 0 | 1; readonly how: 'unavailable' | 'reset' }
  readonly happening: Happening
  /** A snapshot that somebody asks for as the round begins: of everything, or of one namespace. */
  readonly asks?: 'full' | 'part'
}

export interface Plan {
  readonly seed: number
  readonly namespaces: readonly string[]
  /** Per writer, resource and namespace. */
  readonly names: number
  readonly resync: object
  readonly sinks: readonly [SinkPlan, SinkPlan]
  /** The sink whose route has a `where`, which about half of the versions fit. */
  readonly selective?: 0 | 1
  /** Writes before the first start. */
  readonly before: number
  /** Whether nothing happens until the bridge knows on disk where each stream is. */
  readonly settlesFirst: boolean
  readonly rounds: readonly Round[]
  /** Whether the bridge is stopped and started once more when all has settled: nothing may be sent again. */
  readonly rests: boolean
}

/** `short`: a compaction while the bridge is killed, and a sink that is down. */
export type Length = 'short' | 'long'

interface Draw {
  real(below: number): number
  whole(from: number, to: number): number
  chance(probability: number): boolean
  one<T>(from: readonly T[]): T
}

export function drawPlan(seed: number, length: Length): Plan {
  const draw = drawing(seed)
  const sinks = draw.chance(0.5)
    ? ([sink(draw, true, 'coalesce'), sink(draw, false, draw.one(['spool', 'block']))] as const)
    : ([sink(draw, true, draw.one(['spool', 'block'])), sink(draw, false, 'coalesce')] as const)
  const settings = {
    seed,
    namespaces: draw.chance(0.7) ? ['shop'] : ['shop', 'pay'],
    names: draw.whole(2, 8),
    resync: draw.one([
      { every: '0s' },
      { every: '0s' },
      { every: '1s', snapshot: 'full' },
      { every: '1s', snapshot: 'markers' },
      { every: '1s', snapshot: 'delta' },
      { every: '1s', snapshot: 'delta' },
    ]),
    sinks,
    ...(draw.chance(0.4) && { selective: draw.one([0, 1] as const) }),
    before: draw.whole(0, 60),
    settlesFirst: length === 'short' || draw.chance(0.75),
  }
  if (length === 'long') {
    const rounds = Array.from({ length: draw.whole(1, 3) }, () => round(draw))
    return { ...settings, rounds, rests: draw.chance(0.3) }
  }
  const killed: Happening = { ...bridgeEnds(draw), signal: 'SIGKILL', forgets: true }
  const rounds: Round[] = [
    { writes: draw.whole(40, 120), happening: killed },
    { writes: draw.whole(40, 120), happening: { type: 'nothing' }, down: outage(draw) },
  ]
  return { ...settings, rounds, rests: false }
}

function sink(draw: Draw, required: boolean, whenFull: Policy): SinkPlan {
  const isQuiet = draw.chance(0.3)
  const rate = (most: number) => (isQuiet ? 0 : draw.real(most))
  return {
    required,
    whenFull,
    queueEvents: draw.chance(0.5) ? draw.whole(15, 80) : draw.whole(200, 1_000),
    faults: {
      unavailable: rate(0.05),
      throttled: rate(0.05),
      reset: rate(0.05),
      ackLost: rate(0.1),
      slow: rate(0.2),
    },
  }
}

function round(draw: Draw): Round {
  const happening = happens(draw)
  return {
    writes: draw.whole(20, 150),
    happening,
    ...(draw.chance(0.4) && { down: outage(draw) }),
    ...(draw.chance(0.3) && { asks: draw.one(['full', 'part'] as const) }),
  }
}

function outage(draw: Draw): { readonly sink: 0 | 1; readonly how: 'unavailable' | 'reset' } {
  return { sink: draw.one([0, 1]), how: draw.one(['unavailable', 'reset']) }
}

function happens(draw: Draw): Happening {
  const x = draw.real(1)
  if (x < 0.1) return { type: 'nothing' }
  if (x < 0.25) return { type: 'server restart' }
  if (x < 0.4) return { type: 'held' }
  return bridgeEnds(draw)
}

function bridgeEnds(draw: Draw): Happening & { readonly type: 'bridge ends' } {
  return {
    type: 'bridge ends',
    signal: draw.chance(0.85) ? 'SIGKILL' : 'SIGTERM',
    at: draw.one<Moment>([
      { type: 'request', number: draw.whole(1, 200) },
      { type: 'write', number: draw.whole(1, 100) },
      { type: 'noted' },
    ]),
    away: draw.chance(0.2) ? 0 : draw.whole(1, 100),
    forgets: draw.chance(0.5),
    ...(draw.chance(0.3) && { again: draw.whole(1, 60) }),
  }
}

function drawing(seed: number): Draw {
  const random = seeded(seed)
  const draw: Draw = {
    real: (below) => random() * below,
    whole: (from, to) => from + Math.floor(random() * (to - from + 1)),
    chance: (probability) => random() < probability,
    one: (from) => from[Math.floor(random() * from.length)] as never,
  }
  return draw
}
