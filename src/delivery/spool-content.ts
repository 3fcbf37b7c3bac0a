/** What an earlier process has left in a spool. */
import { JournalCorrupt } from '../journal/journal.ts'
import type { SpoolLog } from './spool-log.ts'
import { headOf } from './spool-record.ts'

export interface SpoolContent {
  readonly events: number
  /** Of each stream the sequence of its last event. */
  readonly positions: ReadonlyMap<string, string>
  /** What a stream offered before this offset is void. */
  readonly voidBefore: ReadonlyMap<string, number>
}

/** Reads it once, from the cursor on. What is damaged is set aside, with all that is behind it. */
export async function contentOf(log: SpoolLog): Promise<SpoolContent> {
  const positions = new Map<string, string>()
  const voidBefore = new Map<string, number>()
  let events = 0
  const look = async () => {
    positions.clear()
    voidBefore.clear()
    events = 0
    for await (const frames of log.read(log.cursor)) {
      for (const { offset, payload } of frames) {
        events++
        const event = headOf(payload)
        if (!event) continue
        const { stream, attributes, supersedes } = event
        if (typeof attributes.sequence === 'string') positions.set(stream, attributes.sequence)
        if (supersedes) voidBefore.set(stream, offset)
      }
    }
  }
  try {
    await log.retried(look)
  } catch (error) {
    if (!(error instanceof JournalCorrupt)) throw error
    await log.setAside(error) // all before it was looked at, and nothing is behind it
  }
  return { events, positions, voidBefore }
}
