/** Who pays when a queue overflows: the stream that holds most of it, so that a busy one costs quiet ones nothing. */
import type { Entry } from './entry.ts'

export interface Share {
  readonly stream: string
  /** What of it waits. */
  readonly entries: readonly Entry[]
}

/** The largest of what can be dropped; undefined if nothing can. */
export function largestShare(unsettled: Iterable<Entry>, of: 'events' | 'bytes'): Share | undefined {
  const shares = new Map<string, { readonly entries: Entry[]; bytes: number }>()
  for (const entry of unsettled) {
    const { stream, supersedes } = entry.offered
    if (entry.isUnderWay || supersedes) continue // that a history is void is told in any case
    const share = shares.get(stream) ?? { entries: [], bytes: 0 }
    share.entries.push(entry)
    share.bytes += entry.bytes
    shares.set(stream, share)
  }
  const sizeOf = ({ entries, bytes }: { readonly entries: readonly Entry[]; readonly bytes: number }) =>
    of === 'events' ? entries.length : bytes
  const [largest] = [...shares].sort(([, a], [, b]) => sizeOf(b) - sizeOf(a))
  return largest && { stream: largest[0], entries: largest[1].entries }
}
