/**
 * A process that appends, and settles some way behind that, until it is killed. It says on standard output, line by line:
 *
 *   opening                        it has the folder soon
 *   appended <offset> <number>     was acknowledged
 *   settled <offset> <next> <ms>   the cursor has passed it, so long after the journal was opened
 *   noted <cursor>                 is on disk
 */
import { readFile } from 'node:fs/promises'
import { systemClock } from '../../lib/clock.ts'
import { type Disk, realDisk } from '../disk.ts'
import { Journal } from '../journal.ts'

/** Record number `n`: of many lengths, and made so that a torn or foreign one is recognised. */
export function recordOf(n: number): Buffer {
  return Buffer.from(`${n}:${String((n * 2_654_435_761) % 997).repeat(1 + (n % 400))}`)
}

export const SEGMENT_BYTES = 16 * 1024
/** So much is accepted and not settled, as for a sink that is behind. */
const BEHIND_BYTES = 8 * 1024

function say(...words: readonly (string | number)[]): void {
  process.stdout.write(`${words.join(' ')}\n`)
}

/** The real one; it tells of each cursor that stands. */
const disk: Disk = {
  ...realDisk,
  async rename(from, to) {
    await realDisk.rename(from, to)
    say('noted', Number.parseInt(await readFile(to, 'latin1'), 10))
  },
}

async function appendForEver(folder: string, first: number): Promise<never> {
  say('opening')
  const clock = systemClock
  const journal = await Journal.open({ folder, clock, fsync: 'always', segmentBytes: SEGMENT_BYTES, disk })
  const openedAt = clock.monotonic()
  let next = first
  let settledTo = journal.cursor
  const append = async () => {
    const n = next++
    const [offset = -1] = await journal.append([recordOf(n)])
    say('appended', offset, n)
  }
  const appendOnly = async () => {
    for (;;) await append()
  }
  const appendAndSettle = async () => {
    for (;;) {
      await append()
      const mayBeSettled = journal.end - BEHIND_BYTES
      for await (const frames of journal.read(settledTo)) {
        for (const frame of frames) {
          if (frame.next > mayBeSettled) break
          settledTo = frame.next
          journal.advance(settledTo)
          say('settled', frame.offset, settledTo, Math.round(clock.monotonic() - openedAt))
        }
      }
    }
  }
  await Promise.all([appendAndSettle(), ...Array.from({ length: 7 }, appendOnly)])
  throw new Error('it ends only when it is killed')
}

if (import.meta.main) await appendForEver(process.argv[2] ?? '', Number(process.argv[3]))
