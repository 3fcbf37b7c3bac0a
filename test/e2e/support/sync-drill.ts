/**
 * One first sync of all pods, in a process of its own so that its memory is its own: `sync-drill.ts KUBECONFIG WAY`.
 * Prints a line of JSON.
 */
import { subscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { Informer } from '../../../src/informer/index.ts'
import { ApiClient } from '../../../src/kube/api-client.ts'
import { loadKubeConfig } from '../../../src/kube/kube-config.ts'
import type { Resource } from '../../../src/kube/object.ts'
import { listWatch } from '../../../src/kube/resource-list-watch.ts'
import type { Sync } from './sync-figures.ts'

const pods: Resource = { group: '', version: 'v1', resource: 'pods', kind: 'Pod', namespaced: true }

const [kubeconfig = '', way = ''] = process.argv.slice(2)
const sockets = new Set<Socket>()
subscribe('undici:client:connected', (message) => sockets.add((message as { socket: Socket }).socket))

await using client = new ApiClient(loadKubeConfig({ kubeconfig }))
const { streaming, ...api } = listWatch(client, pods)
const stop = new AbortController()
const informer = new Informer(way === 'paged' ? api : { ...api, streaming }, { scope: 'whole' })
const before = process.memoryUsage().rss
const began = performance.now()
let longestBlockMs = 0
let seen = began
const pulse = setInterval(() => {
  longestBlockMs = Math.max(longestBlockMs, performance.now() - seen)
  seen = performance.now()
}, 1)
informer.start(stop.signal)
await informer.synced
clearInterval(pulse)
const sync: Sync = {
  objects: informer.indexer.size,
  ms: Math.round(performance.now() - began),
  cpuMs: Math.round((process.cpuUsage().user + process.cpuUsage().system) / 1000),
  longestBlockMs: Math.round(longestBlockMs),
  startMiB: Math.round(before / 2 ** 20),
  peakMiB: Math.round(process.resourceUsage().maxRSS / 1024),
  wireKiB: Math.round([...sockets].reduce((sum, { bytesRead }) => sum + bytesRead, 0) / 1024),
}
console.log(JSON.stringify(sync))
stop.abort()
await informer.stopped()
