import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { TestApiServer } from '../../testbed/api-server.ts'
import { startCluster } from './stand.ts'

/** What one first sync took. */
export interface Sync {
  readonly objects: number
  readonly ms: number
  readonly cpuMs: number
  /** Longest time in which nothing else could run. */
  readonly longestBlockMs: number
  readonly startMiB: number
  readonly peakMiB: number
  /** Read from the sockets, TLS and compression included. */
  readonly wireKiB: number
}

export interface SyncFigures {
  readonly paged: readonly Sync[]
  readonly streamed: readonly Sync[]
}

const run = promisify(execFile)
const drill = fileURLToPath(new URL('sync-drill.ts', import.meta.url))
const WRITERS = 8

/** So many pods on a real API server, read by turns page by page and as a stream, each time by a new process. */
export async function measureSyncs({ objects, rounds }: { objects: number; rounds: number }): Promise<SyncFigures> {
  await using server = await startCluster(['shop'])
  await createPods(server, objects)
  const kubeconfig = await server.kubeconfig()
  const paged: Sync[] = []
  const streamed: Sync[] = []
  for (let round = 0; round < rounds; round++) {
    paged.push(await sync(kubeconfig, 'paged'))
    streamed.push(await sync(kubeconfig, 'streamed'))
  }
  return { paged, streamed }
}

async function sync(kubeconfig: string, way: keyof SyncFigures): Promise<Sync> {
  const { stdout } = await run(process.execPath, [drill, kubeconfig, way], { timeout: 300_000 })
  return JSON.parse(stdout) as Sync
}

async function createPods(server: TestApiServer, count: number): Promise<void> {
  let next = 0
  const write = async () => {
    for (let index = next++; index < count; index = next++)
      await server.admin.create('/api/v1/namespaces/shop/pods', podOf(index))
  }
  await Promise.all(Array.from({ length: WRITERS }, write))
}

/** Of the size that pods have in a cluster that runs: about 5 KB of JSON. */
function podOf(index: number): object {
  const env = Array.from({ length: 30 }, (_, at) => ({
    name: `SETTING_${at}`,
    value: `value ${index} of setting ${at}`,
  }))
  const labels = Object.fromEntries(Array.from({ length: 8 }, (_, at) => [`example.com/label-${at}`, `value-${index}`]))
  return {
    metadata: { name: `web-${index}`, labels, annotations: { 'example.com/note': `note ${index} `.repeat(40) } },
    spec: { containers: [{ name: 'web', image: 'registry.example.com/shop/web:1.2.3', env }] },
  }
}
