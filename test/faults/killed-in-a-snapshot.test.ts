/** A bridge that is killed in the middle of a snapshot, as the kernel does when memory is short. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { FaultyReceiver } from '../e2e/support/faulty-receiver.ts'
import { startCluster, webhook } from '../e2e/support/stand.ts'
import { eventually } from '../support/eventually.ts'
import type { TestApiServer } from '../testbed/api-server.ts'
import { Workspace } from '../testbed/workspace.ts'
import { FaultStand, newSeed, retry } from './support/fault-stand.ts'

const OBJECTS = 300
const TAKEN = 100
let server: TestApiServer
let workspace: Workspace

before(async () => {
  server = await startCluster(['memory', 'file'])
  workspace = await Workspace.create('killed')
})
after(async () => {
  await workspace?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
})

const countOf = (receiver: FaultyReceiver, type: string) =>
  receiver.events.filter((event) => event.type === `io.deltawire.snapshot.${type}.v1`).length

for (const type of ['memory', 'file'] as const) {
  test(`F31 I5 I6 killed in a snapshot: that one is never said to be complete, and the next one makes the copy right (state: ${type})`, async (t) => {
    await using receiver = await FaultyReceiver.start()
    const path = `/api/v1/namespaces/${type}/configmaps`
    const names = Array.from({ length: OBJECTS }, (_, index) => `c${index}`)
    const create = (name: string) => server.admin.create(path, { metadata: { name }, data: { value: '1' } })
    for (let at = 0; at < OBJECTS; at += 20) await Promise.all(names.slice(at, at + 20).map(create))
    const state = type === 'memory' ? { type } : { type, path: join(workspace.folder, 'state') }
    const full = () => countOf(receiver, 'item') >= TAKEN
    receiver.answer = () => (full() ? { type: 'refuse', status: 503 } : { type: 'take' })
    const options = { server, namespace: type, config: { state }, seed: newSeed(t) }
    await using stand = await FaultStand.start([webhook('receiver', receiver.url, { retry })], options)
    await eventually(full, { what: 'a part of the snapshot is there' })
    const items = countOf(receiver, 'item')

    await stand.restart('SIGKILL', async () => {
      receiver.answer = () => ({ type: 'take' })
      await Promise.all(names.slice(0, 20).map((name) => server.admin.delete(`${path}/${name}`)))
      for (const name of names.slice(20, 40)) await server.admin.patch(`${path}/${name}`, { data: { value: '2' } })
    })
    const isWhole = () => receiver.events.some((event) => isEndOf(event, `all/configmaps/${type}`))
    await eventually(isWhole, { what: 'the snapshot is complete' })
    t.diagnostic(JSON.stringify({ items, ...(await stand.copied(() => receiver.events)) }))
    const begun = receiver.events.filter(
      (event) => event.stream === `all/configmaps/${type}` && /begin/.test(event.type),
    )
    const ended = receiver.events.filter((event) => isEndOf(event, `all/configmaps/${type}`))
    assert.deepEqual(
      ended.map(({ snapshotid }) => snapshotid),
      begun.slice(1).map(({ snapshotid }) => snapshotid),
    )
    assert.equal(begun.length, 2)
    await stand.endsInOrder('receiver')
  })
}

const isEndOf = ({ type, stream }: { readonly type: string; readonly [attribute: string]: unknown }, of: string) =>
  type === 'io.deltawire.snapshot.end.v1' && stream === of
