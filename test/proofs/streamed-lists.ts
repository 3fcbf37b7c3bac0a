import { measureSyncs, type Sync } from '../e2e/support/sync-figures.ts'

export const description = 'First syncs of 20,000 pods, page by page and streamed: time, memory, bytes. [PODS] [ROUNDS]'

export async function prove([objects, rounds]: readonly string[]): Promise<void> {
  const { paged, streamed } = await measureSyncs({ objects: Number(objects ?? 20_000), rounds: Number(rounds ?? 3) })
  for (const [way, syncs] of Object.entries({ paged, streamed }) as [string, readonly Sync[]][]) {
    for (const sync of syncs) console.log(JSON.stringify({ way, ...sync }))
  }
  for (const figure of ['ms', 'cpuMs', 'longestBlockMs', 'peakMiB', 'wireKiB'] as const) {
    const ratio = median(streamed, figure) / median(paged, figure)
    console.log(`${figure}: streamed / paged = ${ratio.toFixed(2)}`)
  }
}

function median(syncs: readonly Sync[], figure: keyof Sync): number {
  const sorted = syncs.map((sync) => sync[figure]).sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}
