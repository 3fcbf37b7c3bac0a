/** An output over a worker with a spool: what a sink is owed when a disk has lost what was for it. */
import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Bench, bench, ScriptedSink } from '../delivery/scripted-sink.ts'
import type { SpoolNews } from '../delivery/spool-log.ts'
import { temporaryFolder } from '../journal/testing/kit.ts'
import type { KubeObject, Resource, ResourceVersion, Timestamp, Uid } from '../kube/object.ts'
import type { Notable } from '../reconcile/change.ts'
import { RoutedView } from '../route/routed-view.ts'
import { createTranslator } from '../translate/translate.ts'
import { Output, type OutputParts } from './output.ts'
import { spoolTrouble } from './spool.ts'
import { offerTo, startOutput } from './testing/output-kit.ts'

const pods: Resource = { group: '', version: 'v1', resource: 'pods', kind: 'Pod', namespaced: true }
const translate = createTranslator({ cluster: 'c', stream: 'all/pods', resource: pods, scope: {} })

function added(n: number): Notable {
  const resourceVersion = `${n}` as ResourceVersion
  const metadata = { name: `p${n}`, namespace: 'shop', uid: `uid-${n}` as Uid, resourceVersion }
  const object: KubeObject = { apiVersion: 'v1', kind: 'Pod', metadata }
  const observedAt = '2026-01-01T00:00:00Z' as Timestamp
  return { type: 'Added', object, resourceVersion, observed: 'watch', observedAt, collapsed: false }
}

interface OutputBench extends Bench {
  readonly output: Output
  /** Names of what the sink took. */
  readonly taken: string[]
  readonly news: readonly SpoolNews[]
  until(what: string, fact: () => boolean): Promise<void>
}

async function outputBench(path: string): Promise<OutputBench> {
  const taken: string[] = []
  const news: SpoolNews[] = []
  const spool = { path, bytes: 100_000, fsync: 'none' } as const
  const run = await bench({
    sink: new ScriptedSink(),
    options: { concurrency: 1, queue: { events: 4, whenFull: 'spool', spool } },
    observer: { spool: (one) => news.push(one) },
  })
  const until = async (what: string, fact: () => boolean) => {
    for (let turn = 0; turn < 20_000; turn++) {
      if (fact()) return
      await run.settle()
    }
    throw new Error(`not so: ${what}`)
  }
  const routed = RoutedView.whole('audit')
  const onSettled: OutputParts['onSettled'] = (event, outcome) => {
    if (outcome.type === 'delivered') taken.push(String(event.attributes.name))
  }
  const output = new Output({ routed, worker: run.worker, onSettled, onSnapshot: () => {}, onRepaid: () => {} })
  startOutput(output, 'all/pods')
  return { ...run, output, taken, news, until }
}

const names = (count: number) => Array.from({ length: count }, (_, n) => `p${n + 1}`)

test('P1 changes that were read back from disk are settled as those from memory are, and move the watermark', async () => {
  await using folder = await temporaryFolder()
  const run = await outputBench(folder.path)
  const { signal } = new AbortController()
  for (let n = 1; n <= 40; n++) await offerTo(run.output, added(n), translate, signal)
  run.output.complete('40' as ResourceVersion)
  await run.until('all are on disk', () => run.worker.stats().spool?.events === 40)
  assert.equal(run.output.watermark.value, undefined)
  run.sink.respond = () => []
  await run.until('one is under way', () => run.sink.attempts.length === 1)
  run.sink.attempts[0]?.answer()
  await run.until('all are settled', () => run.taken.length === 40)
  assert.deepEqual(run.taken, names(40))
  assert.deepEqual([run.output.watermark.value, run.output.isOwed], ['40', false])
  await run.worker.close(signal)
})

test('F40 a sink is owed a gap and a snapshot for what its disk has lost, and the watermark waits for that', async () => {
  await using folder = await temporaryFolder()
  const run = await outputBench(folder.path)
  const { signal } = new AbortController()
  for (let n = 1; n <= 40; n++) await offerTo(run.output, added(n), translate, signal)
  run.output.complete('40' as ResourceVersion)
  await run.until('all are on disk', () => run.worker.stats().spool?.events === 40)
  const last =
    (await readdir(folder.path))
      .filter((name) => name.endsWith('.log'))
      .sort()
      .at(-1) ?? ''
  const bytes = await readFile(join(folder.path, last))
  await writeFile(
    join(folder.path, last),
    bytes.map((byte, index) => (index === bytes.length >> 1 ? byte ^ 1 : byte)),
  )
  run.sink.respond = () => []
  run.sink.attempts[0]?.answer()
  await run.until('the damage is met', () => run.output.isOwed)
  await run.until('the rest is delivered', () => run.worker.stats().spool?.events === 0)
  const count = run.taken.length
  assert.ok(count < 40)
  assert.deepEqual(run.taken, names(count))
  assert.ok(Number(run.output.watermark.value) <= count)
  assert.notEqual(run.output.debt, undefined)
  assert.match(spoolTrouble(run.worker.stats().spool) ?? '', /^its spool: .* was damaged, and is set aside/)
  await run.worker.close(signal)
})
