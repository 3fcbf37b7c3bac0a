/** A process that appends until it is killed, and says on standard output what was acknowledged: `<offset> <number>`. */
import { systemClock } from '../../lib/clock.ts'
import { Journal } from '../journal.ts'

/** Record number `n`: of many lengths, and made so that a torn or foreign one is recognised. */
export function recordOf(n: number): Buffer {
  return Buffer.from(`${n}:${String((n * 2_654_435_761) % 997).repeat(1 + (n % 400))}`)
}

export const SEGMENT_BYTES = 16 * 1024

async function appendForEver(folder: string, first: number): Promise<never> {
  const journal = await Journal.open({ folder, clock: systemClock, fsync: 'always', segmentBytes: SEGMENT_BYTES })
  let next = first
  const one = async () => {
    for (;;) {
      const n = next++
      const [offset] = await journal.append([recordOf(n)])
      process.stdout.write(`${offset} ${n}\n`)
    }
  }
  await Promise.all(Array.from({ length: 8 }, one))
  throw new Error('it ends only when it is killed')
}

if (import.meta.main) await appendForEver(process.argv[2] ?? '', Number(process.argv[3]))
