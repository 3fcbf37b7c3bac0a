/** `deltawire snapshot` against a real bridge on a real API server: whole, in part, and what cannot be asked for. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { Copy, decodeStructured } from '../../src/events/index.ts'
import { eventually } from '../support/eventually.ts'
import type { TestApiServer } from '../testbed/api-server.ts'
import type { ReceivedEvent } from '../testbed/receiver.ts'
import { ask } from './support/ask.ts'
import { startBridge } from './support/bridge-process.ts'
import { FaultyReceiver } from './support/faulty-receiver.ts'
import { startCluster, webhook } from './support/stand.ts'

const resources = ['configmaps']

async function create(server: TestApiServer, namespace: string, name: string, app: string): Promise<void> {
  const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels: { app } } }
  await server.admin.create(`/api/v1/namespaces/${namespace}/configmaps`, body)
}

/** What a marker says. */
function saidBy(event: ReceivedEvent | undefined): Readonly<Record<string, unknown>> {
  const data = event?.data as { readonly snapshot: Readonly<Record<string, unknown>> } | undefined
  return data?.snapshot ?? {}
}

/** What the events of one snapshot are, in short. Its items are of different objects: they arrive in any order. */
function shortly(events: FaultyReceiver['events'], id: string) {
  const told = events
    .filter(({ snapshotid }) => snapshotid === id)
    .map(({ type, subject }) => (typeof subject === 'string' ? subject : type.split('.')[3]))
  return [...told.slice(0, 1), ...told.slice(1, -1).sort(), ...told.slice(-1)]
}

test('P6 a snapshot that is asked for is sent to whom it is asked for, whole or in part', async () => {
  await using server = await startCluster(['shop', 'pay'])
  await using receiver = await FaultyReceiver.start()
  await using other = await FaultyReceiver.start()
  await using third = await FaultyReceiver.start()
  await create(server, 'shop', 'a', 'web')
  await create(server, 'shop', 'b', 'db')
  await create(server, 'pay', 'c', 'web')
  await using bridge = await startBridge({
    kubeconfig: await server.kubeconfig(),
    config: {
      sources: [
        { name: 'all', resources, labelSelector: 'app', resync: { snapshot: 'off' } },
        { name: 'both', resources, namespaces: ['shop', 'pay'], labelSelector: 'app', resync: { snapshot: 'off' } },
      ],
      routes: [
        { name: 'one', from: ['all'], to: ['copy'] },
        { name: 'two', from: ['all'], to: ['other'], on: ['added', 'updated', 'deleted', 'snapshot'] },
        { name: 'three', from: ['both'], to: ['third'] },
      ],
      sinks: [webhook('copy', receiver.url), webhook('other', other.url), webhook('third', third.url)],
    },
  })
  await bridge.ready()
  const snapshot = async (...args: readonly string[]) => {
    const { code, out, err } = await ask(bridge, 'snapshot', ...args, '--output', 'json')
    assert.equal(code, 0, err)
    const lines = out.trim().split('\n')
    return lines.map((line) => JSON.parse(line))
  }

  const whole = await snapshot('all', '--wait')
  const endings = whole.filter(({ type }) => type === 'completed')
  assert.deepEqual(endings.map(({ sink, items }) => [sink, items]).sort(), [
    ['copy', 3],
    ['other', 3],
  ])
  const end = receiver.events.findLast(({ type }) => type === 'io.deltawire.snapshot.end.v1')
  const said = saidBy(end)
  assert.deepEqual([said.reason, said.mode, said.members], ['requested', 'full', endings[0]?.members])

  const [, part] = await snapshot('all/configmaps', '--sink', 'copy', '--selector', 'app=web', '--wait')
  assert.deepEqual([part?.type, part?.mode], ['began', 'part'])
  assert.deepEqual(shortly(receiver.events, part?.snapshotId), ['begin', 'pay/c', 'shop/a', 'end'])
  const begin = receiver.events.find(({ id }) => id === `${part?.snapshotId}:begin`)
  assert.deepEqual(saidBy(begin).scope, {
    resource: 'configmaps',
    labelSelector: 'app,app=web',
  })
  const before = other.events.length

  const [, narrow] = await snapshot(
    'all',
    '--sink',
    'copy',
    '--namespace',
    'shop',
    'pay',
    '--selector',
    'app=db',
    '--wait',
  )
  assert.deepEqual(shortly(receiver.events, narrow?.snapshotId), ['begin', 'shop/b', 'end'])
  assert.equal(other.events.length, before, 'only the sink that was asked for')
  const [, stream] = await snapshot('both', '--namespace', 'shop', '--wait')
  assert.deepEqual([stream?.stream, stream?.mode], ['both/configmaps/shop', 'full'])

  const copy = new Copy()
  for (const { data, ...attributes } of [...receiver.events, ...third.events])
    copy.apply(decodeStructured(JSON.stringify({ ...attributes, data })))
  assert.deepEqual([...copy.streams()].map(({ stream: name, items }) => [name, items]).sort(), [
    ['all/configmaps', 3],
    ['both/configmaps/pay', 1],
    ['both/configmaps/shop', 2],
  ])

  const refused = async (...args: readonly string[]) => {
    const { code, err } = await ask(bridge, 'snapshot', ...args)
    assert.equal(code, args.includes('--selector') ? 2 : 1)
    return err.replace(/^\S+ /, '').trim()
  }
  assert.equal(
    await refused('al'),
    'there is no source or stream al; there are all/configmaps, both/configmaps/shop, both/configmaps/pay',
  )
  assert.equal(await refused('all', '--sink', 'no'), 'there is no sink no; there are copy, other, third')
  assert.match(await refused('both', '--sink', 'other'), /^no route sends snapshots of both to the sink other/)
  assert.equal(await refused('both', '--namespace', 'dev'), 'both has none of these namespaces; it has shop, pay')
  assert.equal(
    await refused('all', '--selector', 'app in'),
    'label selector "app in", column 7: the end instead of "("',
  )
})

test('P6 a requested snapshot that a sink cannot take is aborted, and who waits is told why; requests meanwhile are merged', async () => {
  await using server = await startCluster(['shop'])
  await using receiver = await FaultyReceiver.start()
  await create(server, 'shop', 'a', 'web')
  await using bridge = await startBridge({
    kubeconfig: await server.kubeconfig(),
    config: {
      sources: [{ name: 'all', resources, namespaces: ['shop'], labelSelector: 'app', resync: { snapshot: 'off' } }],
      sinks: [webhook('copy', receiver.url, { retry: { initial: '100ms', max: '200ms' } })],
    },
  })
  await bridge.ready()
  const types = () => receiver.events.map(({ type }) => type.split('.')[3])
  await eventually(() => types().includes('end'), { what: 'the first snapshot' })

  receiver.answer = () => ({ type: 'refuse', status: 400 })
  const refused = await ask(bridge, 'snapshot', 'all', '--wait')
  assert.equal(refused.code, 1)
  assert.match(refused.out, /^(\S+ to copy): began .*\n\1: aborted: \S+ answered 400/)

  receiver.answer = () => ({ type: 'refuse', status: 503 })
  receiver.events.splice(0)
  const url = await bridge.adminUrl()
  /** Answered as soon as it is due. */
  const request = (body: object) =>
    fetch(`${url}/api/v1/snapshots`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ of: 'all', until: 'ended', ...body }),
    })
  const answers = [await request({})]
  await eventually(async () => (await bridge.log()).some(({ message }) => /unavailable/.test(message)), {
    what: 'its begin has met the outage',
  })
  for (const body of [{ labelSelector: 'app=web' }, {}, { labelSelector: 'app=db' }, {}])
    answers.push(await request(body))
  receiver.answer = () => ({ type: 'take' })
  const texts = await Promise.all(answers.map((answer) => answer.text()))
  const lines = texts.map((text) =>
    text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
  )
  assert.deepEqual(
    lines.map((of) => of.map(({ type }) => type).join()),
    answers.map(() => 'requested,began,completed'),
  )
  assert.equal(new Set(lines.map(([, began]) => began.snapshotId)).size, 2, 'the one that ran, and one for the rest')
  assert.deepEqual(types(), ['begin', 'item', 'end', 'begin', 'item', 'end'])
})

test('what docs/snapshots.md shows is what one gets', async () => {
  const [, shown = ''] = /^```console\n([\s\S]*?)^```/m.exec(await readFile('docs/snapshots.md', 'utf8')) ?? []
  const examples = shown.split(/^\$ deltawire /m).slice(1)
  assert.equal(examples.length, 3)
  await using server = await startCluster(['shop', 'pay'])
  for (const [namespace, name, app] of [
    ['shop', 'a', 'web'],
    ['shop', 'b', 'web'],
    ['pay', 'c', 'db'],
  ] as const) {
    await create(server, namespace, name, app)
  }
  await using bridge = await startBridge({
    kubeconfig: await server.kubeconfig(),
    config: {
      sources: [{ name: 'settings', resources, labelSelector: 'app', resync: { snapshot: 'off' } }],
      sinks: [{ name: 'audit', type: 'stdout' }],
    },
  })
  await bridge.ready()
  const url = await bridge.adminUrl()
  for (const example of examples) {
    const [command = '', ...expected] = example.trimEnd().split('\n')
    const { out, err } = await ask(bridge, ...command.split(' '))
    const got = (out + err)
      .replace(url, 'http://127.0.0.1:8090')
      .replaceAll(/[0-9a-f]{64}/g, '64 digits')
      .trimEnd()
    assert.equal(withoutIds(got), withoutIds(expected.join('\n')), command)
  }
})

/** Snapshots have a random part. */
function withoutIds(text: string): string {
  return text.replaceAll(/(?<=began \S+:)\S+/g, 'random')
}
