import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { recordOf } from './appender.ts'
import { mendedRecordsOf, openJournal, temporaryFolder } from './kit.ts'

export interface Kills {
  readonly kills: number
  /** Records that were acknowledged. All of them were settled, or were there after each kill. */
  readonly acknowledged: number
  readonly settled: number
  /** Records that were settled and there again after a kill, in all and at most after one. */
  readonly repeated: number
  readonly mostRepeated: number
  /** The longest time before a kill at which one of those was settled, in ms. */
  readonly lagMs: number
  /** Half a frame at the end, cut off. */
  readonly torn: number
}

export interface KillOptions {
  /** Whether to kill once more, after so many. */
  readonly goOn: (kills: number) => boolean
  /** In [0, 1). */
  readonly random: () => number
}

/** What a process was heard to say until it was killed, and those before it. */
interface Told {
  /** Number of the next record that nobody has written. */
  next: number
  /** Offsets of records that were acknowledged and not settled, with their numbers. */
  readonly accepted: Map<number, number>
  /** Offsets of settled records that may be read again, with when the last process that settled them did so. */
  readonly settled: Map<number, { readonly round: number; readonly ms: number }>
  settledTo: number
  noted: number
  /** When the last process was killed, on its clock. */
  killedMs: number
  acknowledged: number
  settledCount: number
}

/** When a process is killed: once it has noted its cursor so often, and said so many lines since. */
interface Moment {
  readonly notes: number
  readonly lines: number
}

function momentOf(random: () => number): Moment {
  return { notes: Math.floor(random() * 3), lines: Math.floor(random() ** 2 * 2_000) }
}

/**
 * Appends and settles in a process that is killed (SIGKILL) again and again, at random times. Rejects if a record that
 * was acknowledged and not settled is missing, if one is there that was not written so, or if one is there that was
 * settled before a cursor that was noted.
 */
export async function surviveKills({ goOn, random }: KillOptions): Promise<Kills> {
  await using folder = await temporaryFolder()
  const told: Told = {
    next: 0,
    accepted: new Map(),
    settled: new Map(),
    settledTo: 0,
    noted: 0,
    killedMs: 0,
    acknowledged: 0,
    settledCount: 0,
  }
  const sums = { kills: 0, repeated: 0, mostRepeated: 0, lagMs: 0, torn: 0 }
  while (goOn(sums.kills)) {
    const round = sums.kills++
    await runUntilKilled(folder.path, momentOf(random), told, round)
    await using journal = await openJournal(folder.path)
    const { records, damage } = await mendedRecordsOf(journal)
    const corrupt = damage.find(({ type }) => type !== 'torn')
    if (corrupt) throw new Error(`a kill cannot do this: ${JSON.stringify(corrupt)}`)
    sums.torn += damage.length
    judge(journal.cursor, new Map(records), told)
    const again = records.flatMap(([offset]) => told.settled.get(offset) ?? [])
    sums.repeated += again.length
    sums.mostRepeated = Math.max(sums.mostRepeated, again.length)
    const oldest = again.find((one) => one.round === round)
    if (oldest) sums.lagMs = Math.max(sums.lagMs, told.killedMs - oldest.ms)
    for (const offset of told.settled.keys()) if (offset < journal.cursor) told.settled.delete(offset)
  }
  return { ...sums, acknowledged: told.acknowledged, settled: told.settledCount }
}

/** `records`: what is there from the cursor on. */
function judge(cursor: number, records: ReadonlyMap<number, string>, told: Told): void {
  if (cursor < told.noted) throw new Error(`the cursor ${told.noted} was noted, and ${cursor} was found`)
  if (cursor > told.settledTo) throw new Error(`the cursor is ${cursor}, and only ${told.settledTo} was settled`)
  for (const text of records.values()) {
    const n = Number(text.slice(0, text.indexOf(':')))
    if (text !== recordOf(n).toString()) throw new Error(`this was never written: ${text.slice(0, 100)}`)
    told.next = Math.max(told.next, n + 1)
  }
  for (const [offset, n] of told.accepted) {
    if (records.get(offset) !== recordOf(n).toString())
      throw new Error(`record ${n} was acknowledged at ${offset}, is not settled, and is not there`)
  }
}

async function runUntilKilled(folder: string, moment: Moment, told: Told, round: number): Promise<void> {
  const child = startAppender(folder, told.next)
  const ended = once(child, 'exit')
  let { notes, lines } = moment
  for await (const line of linesOf(child)) {
    hear(line, told, round)
    if (notes > 0 && line.startsWith('noted')) notes--
    else if (notes === 0 && lines-- === 0) child.kill('SIGKILL')
  }
  await ended
  if (lines >= 0) throw new Error('the process ended by itself')
}

function hear(line: string, told: Told, round: number): void {
  const [what = '', ...words] = line.split(' ')
  const [first = 0, second = 0, third = 0] = words.map(Number)
  switch (what) {
    case 'opening':
      return
    case 'appended':
      if (first < told.settledTo || told.accepted.has(first)) throw new Error(`the offset ${first} was given twice`)
      told.accepted.set(first, second)
      told.acknowledged++
      told.next = Math.max(told.next, second + 1)
      return
    case 'settled':
      // a record may be settled whose process was killed before it could say that it was acknowledged
      told.accepted.delete(first)
      if (second > told.settledTo) told.settledCount++
      told.settledTo = Math.max(told.settledTo, second)
      told.settled.set(first, { round, ms: third })
      told.killedMs = third
      return
    case 'noted':
      told.noted = first
      return
    default:
      throw new Error(`what is this: ${line}`)
  }
}

/** Appends from record number `first` on, until it is killed. */
export function startAppender(folder: string, first: number): ChildProcess {
  const args = [join(import.meta.dirname, 'appender.ts'), folder, String(first)]
  return spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
}

export function linesOf({ stdout }: ChildProcess): AsyncIterable<string> {
  if (!stdout) throw new Error('the process was started without a pipe for its output')
  return createInterface({ input: stdout })
}
