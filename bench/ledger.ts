/**
 * What it costs to remember on a disk. That a sink may hold an object is written before the object is offered to it, so an
 * `added` waits for a write that it may share with others; an `updated` waits for none. The same events once with
 * `state: memory`, and with `file`: the bridges take turns, and ratios are of two runs that are neighbours.
 */
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { type TemporaryFolder, temporaryFolder } from '../src/journal/testing/kit.ts'
import type { Report } from './support/report.ts'
import { BridgeSide, local } from './support/stand.ts'
import { median, percentile } from './support/statistics.ts'

export const description = 'state: file against memory, for new objects and for known ones: events/s, CPU, latency.'

const states = ['memory', 'file, fsync: none', 'file, fsync: always'] as const
export type State = (typeof states)[number]
const kinds = ['added', 'updated'] as const
export type Kind = (typeof kinds)[number]

export interface Size {
  readonly objects: number
  /** Of each kind, in each round. One round more comes before them and is not measured. */
  readonly events: number
  readonly rounds: number
  /** Of what is paced, after the rounds. */
  readonly perSecond: number
  readonly seconds: number
  readonly seed: number
}

const size: Size = { objects: 1_000, events: 2_500, rounds: 5, perSecond: 200, seconds: 5, seed: 1 }

export interface Row {
  readonly kind: Kind
  readonly state: State
  /** Medians of the rounds. */
  readonly speed: Speed
  /** By the speed of `memory`. */
  readonly ratio: Speed
  /** From a frame being sent to its event being answered, at a pace. */
  readonly p50Ms: number
  readonly p99Ms: number
}

export interface Speed {
  readonly eventsPerSecond: number
  /** CPU time of the process for one event, in microseconds. */
  readonly cpuMicros: number
}

export interface Result {
  readonly rows: readonly Row[]
  /** A small append that is made durable, on the same disk; median. */
  readonly fsyncMs: number
}

/** Rejects if an event was lost, came twice, or overtook another one of its object. */
export async function measure(size: Size, profile?: string): Promise<Result> {
  const { objects, events, rounds, perSecond, seconds, seed } = size
  await using made = new AsyncDisposableStack()
  const sides: (Measured & { readonly bridge: BridgeSide })[] = []
  for (const state of states) {
    const folder = made.use(await temporaryFolder())
    const options = { pods: { objects, seed }, sink: (url: string) => ({ ...local, url }), profile }
    const bridge = made.use(await BridgeSide.start({ ...options, state: sectionOf(state, folder) }))
    sides.push({ state, bridge, speeds: { added: [], updated: [] }, latencies: { added: [], updated: [] } })
  }
  let first = 0
  for (let round = 0; round <= rounds; round++) {
    for (const kind of kinds) {
      for (const { bridge, speeds } of sides) {
        const cpuBefore = await bridge.cpuMs()
        const { durationMs } = await bridge.run({ ...runOf(kind), first, updates: events })
        const cpuMs = (await bridge.cpuMs()) - cpuBefore
        const speed = { eventsPerSecond: (events * 1000) / durationMs, cpuMicros: (cpuMs * 1000) / events }
        if (round > 0) speeds[kind].push(speed)
      }
      first += events
    }
  }
  const updates = perSecond * seconds
  for (const kind of kinds) {
    for (const { bridge, latencies } of sides) {
      latencies[kind] = (await bridge.run({ ...runOf(kind), first, updates, perSecond })).latenciesMs
    }
    first += updates
  }
  return { rows: kinds.flatMap((kind) => sides.map((side) => rowOf(kind, side, sides))), fsyncMs: await fsyncMs() }
}

export async function run(profile?: string): Promise<Report> {
  const result = await measure(size, profile)
  return {
    result: { size, ...result },
    columns: ['', 'events/s', 'CPU/event', 'ratio: events/s', 'CPU/event', 'p50', 'p99'],
    rows: [
      ...result.rows.map(({ kind, state, speed, ratio, p50Ms, p99Ms }) => [
        `${kind}, ${state}`,
        speed.eventsPerSecond.toFixed(0),
        `${speed.cpuMicros.toFixed(0)} us`,
        ratio.eventsPerSecond.toFixed(2),
        ratio.cpuMicros.toFixed(2),
        ...[p50Ms, p99Ms].map((ms) => `${ms.toFixed(1)} ms`),
      ]),
      ['an fsync alone', '', '', '', '', `${result.fsyncMs.toFixed(1)} ms`, ''],
    ],
  }
}

interface Measured {
  readonly state: State
  readonly speeds: Readonly<Record<Kind, Speed[]>>
  /** Sorted. */
  readonly latencies: Record<Kind, readonly number[]>
}

function runOf(kind: Kind) {
  return { what: kind === 'added' ? 'creates' : 'updates', delayMs: 0, await: 'events' } as const
}

function sectionOf(state: State, { path }: TemporaryFolder): object {
  if (state === 'memory') return {}
  return { type: 'file', path, fsync: state === 'file, fsync: always' ? 'always' : 'none' }
}

function rowOf(kind: Kind, { state, speeds, latencies }: Measured, sides: readonly Measured[]): Row {
  const memory = sides.find((side) => side.state === 'memory')?.speeds[kind] ?? []
  const middle = (of: (speed: Speed) => number) => median(speeds[kind].map(of))
  const middleRatio = (of: (speed: Speed) => number) =>
    median(speeds[kind].flatMap((speed, round) => (memory[round] ? [of(speed) / of(memory[round])] : [])))
  const of = {
    eventsPerSecond: (speed: Speed) => speed.eventsPerSecond,
    cpuMicros: (speed: Speed) => speed.cpuMicros,
  }
  return {
    kind,
    state,
    speed: { eventsPerSecond: middle(of.eventsPerSecond), cpuMicros: middle(of.cpuMicros) },
    ratio: { eventsPerSecond: middleRatio(of.eventsPerSecond), cpuMicros: middleRatio(of.cpuMicros) },
    p50Ms: percentile(latencies[kind], 50),
    p99Ms: percentile(latencies[kind], 99),
  }
}

const FSYNCS = 50

async function fsyncMs(): Promise<number> {
  await using folder = await temporaryFolder()
  await using file = await open(join(folder.path, 'file'), 'a')
  const taken: number[] = []
  for (let count = 0; count < FSYNCS; count++) {
    const begun = performance.now()
    await file.write('x'.repeat(256))
    await file.datasync()
    taken.push(performance.now() - begun)
  }
  return median(taken)
}
