/** What a scheduled snapshot holds if nothing else is asked for: what a sink does not have. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventually } from '../support/eventually.ts'
import { startBridge } from './support/bridge-process.ts'
import { listed } from './support/dlq.ts'
import { FaultyReceiver } from './support/faulty-receiver.ts'
import { startCluster, webhook } from './support/stand.ts'

const path = '/api/v1/namespaces/shop/configmaps'
const body = (name: string) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels: { app: 'web' } } })

test('I7 P1 a delta snapshot of an idle cluster is begin and end, and tells again what the sink has refused', async () => {
  await using server = await startCluster(['shop'])
  await using receiver = await FaultyReceiver.start()
  for (const name of ['a', 'b']) await server.admin.create(path, body(name))
  await using bridge = await startBridge({
    kubeconfig: await server.kubeconfig(),
    config: {
      sources: [{ name: 'all', resources: ['configmaps'], labelSelector: 'app', resync: { every: '1s' } }],
      sinks: [webhook('copy', receiver.url)],
    },
  })
  await bridge.ready()
  /** The snapshots that have ended since: their events in short, sorted. */
  const snapshots = () => {
    const { events } = receiver
    const ids = events.filter(({ type }) => type.endsWith('end.v1')).map(({ snapshotid }) => snapshotid)
    return ids.map((id) =>
      events
        .filter(({ snapshotid }) => snapshotid === id)
        .map(({ type, subject }) => [type.split('.')[3], subject].filter((text) => text !== undefined).join(' '))
        .sort()
        .join(),
    )
  }
  await eventually(() => snapshots().length >= 4, { what: 'three that are periodic' })
  assert.deepEqual(snapshots().slice(0, 4), [
    'begin,end,item shop/a,item shop/b',
    'begin,end',
    'begin,end',
    'begin,end',
  ])

  const refused = async (subject: string, change: () => Promise<unknown>) => {
    receiver.answer = () => ({ type: 'refuse', status: 400 })
    await change()
    const isGivenUp = async () => (await listed(bridge)).some(({ attributes }) => attributes.subject === subject)
    await eventually(isGivenUp, { what: 'it was given up' })
    receiver.events.splice(0)
    receiver.answer = () => ({ type: 'take' })
  }
  await refused('shop/c', () => server.admin.create(path, body('c')))
  await eventually(() => snapshots().includes('begin,end,item shop/c'), { what: 'what was refused comes again' })
  await refused('shop/a', () => server.admin.delete(`${path}/a`))
  await eventually(
    () => receiver.events.some(({ type, subject }) => type.endsWith('deleted.v1') && subject === 'shop/a'),
    { what: 'its end, too' },
  )
  const before = snapshots().length
  await eventually(() => snapshots().length >= before + 2, { what: 'two more' })
  assert.equal(snapshots().at(-1), 'begin,end', 'once')
})
