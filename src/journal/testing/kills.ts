import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { recordOf } from './appender.ts'
import { mendedRecordsOf, openJournal, temporaryFolder } from './kit.ts'

export interface Kills {
  readonly kills: number
  /** Records that were acknowledged. */
  readonly acknowledged: number
  /** Records that are there. More than were acknowledged: a kill may come between the fsync and the word. */
  readonly found: number
  /** Half a frame at the end, cut off. */
  readonly torn: number
}

/**
 * Appends in a process that is killed (SIGKILL) again and again, at random times. Rejects if a record that was
 * acknowledged is missing, or one is there that was not written so.
 */
export async function surviveKills(rounds: number, random: () => number): Promise<Kills> {
  await using folder = await temporaryFolder()
  const acknowledged = new Map<number, number>()
  let next = 0
  let found = 0
  let torn = 0
  for (let round = 0; round < rounds; round++) {
    const limit = 1 + Math.floor(random() * 300)
    next = await appendUntilKilled(folder.path, next, limit, acknowledged)
    await using journal = await openJournal(folder.path)
    const { records, damage } = await mendedRecordsOf(journal)
    const corrupt = damage.find(({ type }) => type !== 'torn')
    if (corrupt) throw new Error(`a kill cannot do this: ${JSON.stringify(corrupt)}`)
    torn += damage.length
    const texts = new Map(records)
    for (const [, text] of records) {
      const n = Number(text.slice(0, text.indexOf(':')))
      if (text !== recordOf(n).toString()) throw new Error(`this was never written: ${text.slice(0, 100)}`)
      next = Math.max(next, n + 1)
    }
    for (const [offset, n] of acknowledged) {
      if (texts.get(offset) !== recordOf(n).toString())
        throw new Error(`record ${n} was acknowledged at ${offset}, and is not there`)
    }
    found = records.length
  }
  return { kills: rounds, acknowledged: acknowledged.size, found, torn }
}

/** Resolves with the number of the next record that nobody has written. */
async function appendUntilKilled(
  folder: string,
  first: number,
  limit: number,
  acknowledged: Map<number, number>,
): Promise<number> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'appender.ts'), folder, String(first)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  let count = 0
  let next = first
  for await (const line of createInterface({ input: child.stdout })) {
    const [offset, n] = line.split(' ').map(Number)
    if (offset === undefined || n === undefined) throw new Error(`what is this: ${line}`)
    acknowledged.set(offset, n)
    next = Math.max(next, n + 1)
    if (++count === limit) child.kill('SIGKILL')
  }
  await ended
  if (count < limit) throw new Error(`the process ended by itself after ${count} records`)
  return next
}
