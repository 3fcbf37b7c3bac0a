/** An output that sees a part of its stream, over a real worker and a scripted target. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bench } from '../delivery/scripted-sink.ts'
import { DeliveryError } from '../delivery/sink.ts'
import type { KubeObject, Resource, ResourceVersion, Timestamp, Uid } from '../kube/object.ts'
import type { Notable } from '../reconcile/change.ts'
import { compileRoutes, RoutedView } from '../route/routed-view.ts'
import { allOn, wholeObject } from '../route/view.ts'
import { createTranslator } from '../translate/translate.ts'
import { Output } from './output.ts'
import { offerTo, startOutput } from './testing/output-kit.ts'

const pods: Resource = { group: '', version: 'v1', resource: 'pods', kind: 'Pod', namespaced: true }
const translate = createTranslator({ cluster: 'c', stream: 'all/pods', resource: pods, scope: {} })
const seen = { observedAt: '2026-01-01T00:00:00Z' as Timestamp, collapsed: false } as const
const x = { uid: 'uid-x' as Uid, key: 'shop/x' }

/** A member as long as its phase is `in`. */
function pod(phase: 'in' | 'out', version: number): KubeObject {
  const metadata = { name: 'x', namespace: 'shop', uid: x.uid, resourceVersion: String(version) as ResourceVersion }
  return { apiVersion: 'v1', kind: 'Pod', metadata, status: { phase } } as KubeObject
}

function added(phase: 'in' | 'out', version: number): Notable {
  const object = pod(phase, version)
  return { type: 'Added', object, resourceVersion: object.metadata.resourceVersion, observed: 'watch', ...seen }
}

function updated(
  from: 'in' | 'out',
  to: 'in' | 'out',
  version: number,
  observed: 'watch' | 'relist' = 'watch',
): Notable {
  const object = pod(to, version)
  const previous = pod(from, version - 1)
  return { type: 'Updated', object, previous, resourceVersion: object.metadata.resourceVersion, observed, ...seen }
}

/** Nothing leaves before `connect`. */
async function part() {
  const reachable = Promise.withResolvers<void>()
  const run = await bench({ options: { concurrency: 1, queue: { events: 4, whenFull: 'coalesce' } } })
  run.sink.onConnect = () => reachable.promise
  const sent: string[] = []
  let isAway = false
  run.sink.respond = (events) => {
    if (isAway) throw new DeliveryError('unavailable', 'ECONNREFUSED')
    for (const { attributes } of events) sent.push(`${attributes.type.split('.').at(-2)} ${attributes.id}`)
    return []
  }
  const where = "object.status.phase == 'in'"
  const route = { name: 'r', to: ['audit'], on: allOn, payload: wholeObject, where }
  const routed = RoutedView.of({ source: 'all', sink: 'audit' }, compileRoutes([route]))
  assert.ok(routed)
  const output = new Output({
    routed,
    worker: run.worker,
    onSettled: () => {},
    onSnapshot: () => {},
    onRepaid: () => {},
  })
  const ledger = startOutput(output, 'all/pods')
  const offer = async (...changes: Notable[]) => {
    for (const change of changes) await offerTo(output, change, translate, new AbortController().signal)
  }
  const connect = async () => {
    reachable.resolve()
    await run.settle()
    return sent
  }
  const held = () => [...ledger.held('audit')].map(({ key }) => key)
  const goAway = () => {
    isAway = true
  }
  const comeBack = async () => {
    isAway = false
    await run.clock.advance(60_000)
  }
  return { offer, connect, held, ledger, sent, goAway, comeBack }
}

test('P3 of what is watched the history says what it was: what a killed process was told later is no leaving', async () => {
  const { offer, connect, held, ledger } = await part()
  ledger.expect(x, 'audit')
  await offer(added('out', 19), updated('out', 'out', 20))
  assert.deepEqual([await connect(), held()], [[], ['shop/x']])
})

test('P3 of what a list shows the record says what the sink holds: what it was told by a killed process leaves', async () => {
  const { offer, connect, held, ledger } = await part()
  ledger.expect(x, 'audit')
  await offer(updated('out', 'out', 25, 'relist'))
  assert.deepEqual([await connect(), held()], [['deleted uid-x:00000000000000000025:left'], []])
})

test('P3 a leaving that another leaving stands for ends what the sink may hold', async () => {
  const { offer, connect, held, sent, goAway, comeBack } = await part()
  await connect()
  await offer(added('in', 2))
  goAway()
  await offer(updated('in', 'in', 3), updated('in', 'out', 4), updated('out', 'in', 5), updated('in', 'out', 6))
  assert.deepEqual(held(), [], 'it is being told')
  await comeBack()
  assert.equal(sent.at(-1), 'deleted uid-x:00000000000000000006:left')
  assert.deepEqual(held(), [])
})
