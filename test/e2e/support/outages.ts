import assert from 'node:assert/strict'
import { eventually } from '../../support/eventually.ts'
import { startReceiver } from '../../testbed/receiver.ts'
import { startBridge } from './bridge-process.ts'
import { type Comparison, compare } from './oracle.ts'
import { type Done, operate, prefixes, resources } from './random-operations.ts'
import { assertCopied, stateOf } from './reference-copy.ts'
import { startCluster, webhook } from './stand.ts'

export interface OutagesOptions {
  readonly seed: number
  /** Operations in all. */
  readonly operations: number
  /** SIGKILLs of the API server, spread over them. */
  readonly kills: number
  /** Whether the API server has WatchList. @default streamed */
  readonly lists?: 'streamed' | 'paged'
}

export interface OutagesResult extends Comparison {
  readonly operations: Done
  readonly kills: number
}

const namespaces = ['shop', 'pay']

/**
 * Random operations while the API server is killed and started again; then the bridge is held still, more is written,
 * the API server is killed, etcd is compacted beyond every position, and all of it goes on. In the end all that etcd
 * recorded has arrived, or is marked as collapsed under a gap, and every object ever sent that is gone was deleted.
 */
export async function surviveOutages({
  seed,
  operations,
  kills,
  lists = 'streamed',
}: OutagesOptions): Promise<OutagesResult> {
  const flags = lists === 'paged' ? ['--feature-gates=WatchList=false'] : []
  await using server = await startCluster(namespaces, { flags })
  await using receiver = await startReceiver()
  await using bridge = await startBridge({
    kubeconfig: await server.kubeconfig(),
    config: {
      sources: [{ name: 'all', resources, namespaces }],
      sinks: [webhook('receiver', receiver.url)],
    },
  })
  await bridge.ready()
  const recorder = await server.record()

  const part = Math.floor(operations / (kills + 2))
  const done: Done[] = []
  for (let kill = 0; kill < kills; kill++) {
    const start = await server.revision()
    const writing = operate(server.admin, { count: part, seed: seed + kill, namespaces })
    await eventually(async () => (await server.revision()) > start + BigInt(Math.floor(part / 2)), {
      what: 'half of it is written',
    })
    await server.kill()
    await server.start()
    done.push(await writing)
  }

  process.kill(bridge.pid, 'SIGSTOP')
  done.push(await operate(server.admin, { count: part, seed: seed + kills, namespaces }))
  await server.kill()
  await server.compact()
  await server.start()
  process.kill(bridge.pid, 'SIGCONT')
  done.push(await operate(server.admin, { count: operations - part * (kills + 1), seed: seed + kills + 1, namespaces }))

  const history = await recorder.until(await server.revision(), ...prefixes)
  const judge = async () => compare(history, await receiver.events())
  await eventually(async () => (await judge()).problems.length === 0, {
    what: 'all has arrived',
    withinMs: 90_000,
  }).catch(
    () => undefined, // the comparison below says what is missing
  )
  const result = await judge()
  assert.deepEqual(result.problems, [])
  assert.ok(result.gaps > 0, 'a gap was announced')
  await assertCopied(await receiver.events(), stateOf(history))
  assert.equal(await bridge.end('SIGTERM'), 0)
  return { ...result, operations: sum(done), kills: kills + 1 }
}

function sum(parts: readonly Done[]): Done {
  const total = { created: 0, updated: 0, deleted: 0, failed: 0 }
  for (const part of parts) for (const name of Object.keys(total) as (keyof Done)[]) total[name] += part[name]
  return total
}
