/** What a receiver refuses, from the dead letters to the receiver after all: real processes from end to end. */
import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { eventually } from '../support/eventually.ts'
import { startApiServer, type TestApiServer } from '../testbed/api-server.ts'
import { Workspace } from '../testbed/workspace.ts'
import { type BridgeProcess, startBridge } from './support/bridge-process.ts'
import { dlq, listed } from './support/dlq.ts'
import { FaultyReceiver } from './support/faulty-receiver.ts'
import { webhook } from './support/stand.ts'

const configMaps = '/api/v1/namespaces/default/configmaps'

async function createConfigMaps(server: TestApiServer, ...names: readonly string[]): Promise<void> {
  for (const name of names) {
    await server.admin.create(configMaps, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { name } })
  }
}

/** New ConfigMaps go to the sinks; nothing else does. */
async function start(server: TestApiServer, sinks: readonly object[], more: object = {}): Promise<BridgeProcess> {
  const bridge = await startBridge({
    kubeconfig: await server.kubeconfig(),
    config: {
      sources: [{ name: 'all', resources: ['configmaps'], namespaces: ['default'] }],
      routes: [{ name: 'new', on: ['added'], to: ['receiver'] }],
      sinks,
      ...more,
    },
  })
  try {
    await bridge.ready()
    return bridge
  } catch (error) {
    await bridge[Symbol.asyncDispose]()
    throw error
  }
}

async function deadLetters(bridge: BridgeProcess, count: number): Promise<void> {
  const series = 'deltawire_dead_letters_kept'
  await eventually(async () => (await bridge.metric(series)) === count, { what: `${count} dead letters are kept` })
}

/** One after the other: in this order they are among the dead letters. */
async function createInVain(server: TestApiServer, bridge: BridgeProcess, ...names: readonly string[]): Promise<void> {
  for (const [index, name] of names.entries()) {
    await createConfigMaps(server, name)
    await deadLetters(bridge, index + 1)
  }
}

const subjects = (receiver: FaultyReceiver) => receiver.events.map(({ subject }) => String(subject)).sort()
const refuse = { type: 'refuse', status: 400 } as const
const take = { type: 'take' } as const
const three = ['default/a', 'default/b', 'default/c']

const queues = {
  coalesce: () => ({}),
  spool: (folder: string) => ({ spool: { path: join(folder, 'spool') } }),
}

for (const [whenFull, more] of Object.entries(queues)) {
  test(`F46 P1 what a receiver refuses is listed, shown, and delivered exactly once when it takes it after all: ${whenFull}`, async () => {
    await using workspace = await Workspace.create('refused')
    await using server = await startApiServer()
    await using receiver = await FaultyReceiver.start()
    receiver.answer = () => refuse
    await using bridge = await start(server, [
      webhook('receiver', receiver.url, { queue: { whenFull, ...more(workspace.folder) } }),
    ])
    await createInVain(server, bridge, 'a', 'b', 'c')

    const { out, err } = await dlq(bridge, 'list')
    assert.match(
      out,
      /^ID +SINK +TIME +REASON +EVENT +OBJECT\n1 +receiver +\S+ +rejected: .*400.* +added +configmaps default\/a\n/,
    )
    assert.equal(err, '3 dead letters; they are in memory, and lost when the bridge ends\n')
    const [first] = await listed(bridge)
    const shown = JSON.parse((await dlq(bridge, 'show', first?.id ?? '')).out)
    assert.deepEqual(
      [shown.code, shown.event.subject, shown.event.data.object.data],
      ['rejected', 'default/a', { name: 'a' }],
    )

    const again = await dlq(bridge, 'replay', first?.id ?? '')
    assert.equal(again.code, 1)
    assert.match(again.out, /^1 {2}given up again {2}added configmaps default\/a to receiver: rejected: /)
    assert.equal((await listed(bridge)).length, 3)

    receiver.answer = () => take
    const { code, err: summary } = await dlq(bridge, 'replay', '--sink', 'receiver')
    assert.deepEqual([code, summary], [0, '3 delivered\n'])
    assert.deepEqual(subjects(receiver), three)
    assert.equal(
      (await dlq(bridge, 'list')).err,
      'no dead letters; they are in memory, and lost when the bridge ends\n',
    )
    assert.equal((await dlq(bridge, 'replay', '--all')).err, 'nothing to replay\n')
  })
}

test('P1 F32 dead letters on disk outlive a kill -9, and are then delivered exactly once', async () => {
  await using server = await startApiServer()
  await using receiver = await FaultyReceiver.start()
  await using workspace = await Workspace.create('letters')
  const more = { deadLetters: { path: join(workspace.folder, 'letters') } }
  const sinks = [webhook('receiver', receiver.url)]
  receiver.answer = () => refuse
  {
    await using killed = await start(server, sinks, more)
    await createInVain(server, killed, 'a', 'b', 'c')
    await killed.end('SIGKILL')
  }
  receiver.answer = () => take
  {
    await using bridge = await start(server, sinks, more)
    assert.equal((await bridge.logged('the store is open', ({ events }) => events !== undefined)).events, 3)
    const [a] = await listed(bridge)
    assert.equal((await dlq(bridge, 'replay', a?.id ?? '')).code, 0)
    await bridge.end('SIGKILL')
  }
  await using bridge = await start(server, sinks, more)
  assert.deepEqual(
    (await listed(bridge)).map(({ attributes }) => attributes.subject),
    three.slice(1),
  )
  assert.equal((await dlq(bridge, 'replay', '--all')).err, '2 delivered\n')
  assert.deepEqual(subjects(receiver), three)
  assert.deepEqual(await listed(bridge), [])
})

test('F40 a damaged store is named when the bridge starts, which delivers and keeps dead letters as ever', async () => {
  await using server = await startApiServer()
  await using receiver = await FaultyReceiver.start()
  await using workspace = await Workspace.create('letters')
  const path = join(workspace.folder, 'letters')
  const sinks = [webhook('receiver', receiver.url)]
  receiver.answer = () => refuse
  {
    await using bridge = await start(server, sinks, { deadLetters: { path } })
    await createInVain(server, bridge, 'a', 'b', 'c')
    assert.equal(await bridge.end('SIGTERM'), 0)
  }
  const [name = ''] = (await readdir(path)).filter((one) => one.endsWith('.log'))
  const bytes = await readFile(join(path, name))
  bytes.write('damage', bytes.indexOf('default/b'))
  await writeFile(join(path, name), bytes)

  await using bridge = await start(server, sinks, { deadLetters: { path } })
  const line = await bridge.logged('the damage is named', ({ type }) => type === 'corrupt')
  assert.match(line.message, /^dead letters have changed on the disk/)
  assert.deepEqual([line.level, line.file], ['error', join(path, name)])
  assert.deepEqual(
    (await listed(bridge)).map(({ attributes }) => attributes.subject),
    ['default/a'],
  )
  await createConfigMaps(server, 'd')
  await deadLetters(bridge, 2)
  receiver.answer = () => take
  await createConfigMaps(server, 'e')
  await eventually(() => receiver.events.length === 1, { what: 'the receiver has what it takes' })
  assert.equal((await dlq(bridge, 'replay', '--all')).err, '2 delivered\n')
  assert.deepEqual(subjects(receiver), ['default/a', 'default/d', 'default/e'])
})

test('P1 dead letters of a sink go to another one that it names, which gets nothing else', async () => {
  await using server = await startApiServer()
  await using receiver = await FaultyReceiver.start()
  await using graveyard = await FaultyReceiver.start()
  const sinks = [
    webhook('receiver', receiver.url, { deadLetter: 'graveyard' }),
    webhook('graveyard', graveyard.url, { retry: { initial: '10ms', max: '100ms' } }),
  ]
  await using bridge = await start(server, sinks, { routes: [] })
  receiver.answer = () => refuse
  graveyard.answer = () => ({ type: 'refuse', status: 503 })
  await createConfigMaps(server, 'a')
  const reason = 'deltawire_dead_letters_total{sink="receiver",reason="rejected"}'
  await eventually(async () => (await bridge.metric(reason)) > 0, { what: 'something was given up' })
  graveyard.answer = () => take
  await eventually(() => graveyard.events.some(({ subject }) => subject === 'default/a'), {
    what: 'the other sink has it',
  })
  const event = graveyard.events.find(({ subject }) => subject === 'default/a')
  assert.deepEqual(
    [event?.deadsink, event?.deadcode, event?.deadattempts, typeof event?.deadtime],
    ['receiver', 'rejected', '1', 'string'],
  )
  assert.ok(graveyard.events.every(({ deadsink }) => deadsink === 'receiver'))
  assert.deepEqual(await listed(bridge), [])
})
