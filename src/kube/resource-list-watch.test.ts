import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { ManualClock } from '../lib/manual-clock.ts'
import { ApiClient } from './api-client.ts'
import { KubeError, type KubeErrorCode } from './errors.ts'
import type { Frame, Frames, ListWatch } from './list-watch.ts'
import { type KubeObject, type Resource, resourceVersion } from './object.ts'
import { type ListWatchOptions, listWatch } from './resource-list-watch.ts'
import { type Call, json, ScriptedServer, status, stream } from './testing/scripted-server.ts'
import { selfSigned } from './testing/self-signed.ts'
import { settle } from './testing/settle.ts'

const pods: Resource = { group: '', version: 'v1', resource: 'pods', kind: 'Pod', namespaced: true }
const widgets: Resource = { group: 'example.com', version: 'v1', resource: 'widgets', kind: 'Widget', namespaced: true }
const nodes: Resource = { group: '', version: 'v1', resource: 'nodes', kind: 'Node', namespaced: false }

const pod = (name: string, version: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'shop', uid: `uid-${name}`, resourceVersion: version },
})
const added = (name: string, version: string) => ({ type: 'ADDED', object: pod(name, version) })
const bookmark = (version: string) => ({
  type: 'BOOKMARK',
  object: { kind: 'Pod', metadata: { resourceVersion: version } },
})
const rv = resourceVersion
const from = (version: string) => ({ resourceVersion: rv(version), timeoutSeconds: 300 })

/** Never aborts. */
const { signal } = new AbortController()
const tls = selfSigned('api')

interface Setup extends AsyncDisposable {
  readonly server: ScriptedServer
  readonly clock: ManualClock
  readonly client: ApiClient
  readonly api: ListWatch<KubeObject>
}

async function setUp(
  answer: (call: Call, index: number) => void,
  { resource = pods, secure = false, ...options }: ListWatchOptions & { resource?: Resource; secure?: boolean } = {},
): Promise<Setup> {
  const server = await ScriptedServer.start(answer, secure ? tls : undefined)
  const clock = new ManualClock()
  const client = new ApiClient(server.config(), { clock })
  return {
    server,
    clock,
    client,
    api: listWatch(client, resource, options),
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

async function collect(frames: Frames<KubeObject>): Promise<readonly Frame<KubeObject>[]> {
  const all: Frame<KubeObject>[] = []
  for await (const some of frames) for (const frame of some) all.push(frame)
  return all
}

/** One frame at a time, however the chunks were cut. */
async function* oneByOne(frames: Frames<KubeObject>): AsyncGenerator<Frame<KubeObject>, void, undefined> {
  for await (const some of frames) yield* some
}

/** The name in the next frame, or its type; undefined at the end. */
async function nextName(frames: AsyncGenerator<Frame<KubeObject>, void, undefined>): Promise<string | undefined> {
  const { value } = await frames.next()
  return value === undefined ? undefined : 'object' in value ? value.object.metadata.name : value.type
}

const failed = (code: KubeErrorCode) => (error: unknown) => error instanceof KubeError && error.code === code

test('C12 C34 pages follow the continue token, which nothing but the limit and the selectors accompanies', async () => {
  await using it = await setUp(
    (call) => {
      const last = call.query.has('continue')
      json(call, {
        kind: 'PodList',
        metadata: { resourceVersion: '10', ...(last ? {} : { continue: 'more' }) },
        items: [pod(last ? 'b' : 'a', '5')],
      })
    },
    { namespace: 'shop', labelSelector: 'app=web,tier!=cache', fieldSelector: 'status.phase=Running' },
  )
  const first = await it.api.list(
    { limit: 500, resourceVersion: rv('7'), resourceVersionMatch: 'NotOlderThan' },
    signal,
  )
  const second = await it.api.list({ limit: 500, continue: first.continue ?? '' }, signal)
  assert.deepEqual([first.items, second.items], [[pod('a', '5')], [pod('b', '5')]])
  assert.deepEqual([first.resourceVersion, second.resourceVersion, second.continue], ['10', '10', undefined])
  const selectors = { labelSelector: 'app=web,tier!=cache', fieldSelector: 'status.phase=Running' }
  assert.deepEqual(
    it.server.calls.map(({ path, query }) => [path, Object.fromEntries(query)]),
    [
      [
        '/api/v1/namespaces/shop/pods',
        { limit: '500', resourceVersion: '7', resourceVersionMatch: 'NotOlderThan', ...selectors },
      ],
      ['/api/v1/namespaces/shop/pods', { limit: '500', continue: 'more', ...selectors }],
    ],
  )
})

test('C13 a list asks for any version, or says how its version is to match', async () => {
  await using it = await setUp(
    (call) => json(call, { kind: 'NodeList', metadata: { resourceVersion: '10' }, items: null }),
    {
      resource: nodes,
    },
  )
  await it.api.list({ limit: 500 }, signal)
  assert.deepEqual(Object.fromEntries(it.server.calls[0]?.query ?? []), { limit: '500' })
  assert.equal(it.server.calls[0]?.path, '/api/v1/nodes')
  await assert.rejects(it.api.list({ limit: 500, resourceVersion: rv('7') }, signal), TypeError)
  assert.equal(it.server.calls.length, 1)
  assert.throws(() => listWatch(it.client, nodes, { namespace: 'shop' }), /nodes are not in namespaces/)
})

test('C19 C77 a watch sends exactly its parameters, and sendInitialEvents only when asked', async () => {
  await using it = await setUp((call) => call.response.end(), { resource: widgets, labelSelector: 'a in (b,c)' })
  await using _first = await it.api.watch({ timeoutSeconds: 412, sendInitialEvents: true }, signal)
  await using _next = await it.api.watch(
    { timeoutSeconds: 300, sendInitialEvents: true, resourceVersion: rv('9') },
    signal,
  )
  await using _resumed = await it.api.watch(from('10'), signal)
  const common = { watch: 'true', allowWatchBookmarks: 'true', labelSelector: 'a in (b,c)' }
  const initial = { sendInitialEvents: 'true', resourceVersionMatch: 'NotOlderThan' }
  assert.deepEqual(
    it.server.calls.map(({ query }) => Object.fromEntries(query)),
    [
      { ...common, ...initial, timeoutSeconds: '412' },
      { ...common, ...initial, timeoutSeconds: '300', resourceVersion: '9' },
      { ...common, timeoutSeconds: '300', resourceVersion: '10' },
    ],
  )
  assert.equal(it.server.calls[0]?.path, '/apis/example.com/v1/widgets')
  await assert.rejects(it.api.watch({ timeoutSeconds: 300 }, signal), TypeError)
})

test('metadata alone is asked for as such, in lists and watches', async () => {
  await using it = await setUp(
    (call) => {
      const partial = { ...pod('a', '5'), kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1' }
      if (call.query.has('watch')) {
        stream(call, { type: 'ADDED', object: partial })
        call.response.end()
      } else json(call, { kind: 'PartialObjectMetadataList', metadata: { resourceVersion: '9' }, items: [partial] })
    },
    { metadataOnly: true },
  )
  const { items } = await it.api.list({ limit: 500 }, signal)
  await using frames = await it.api.watch(from('9'), signal)
  assert.deepEqual(
    [items, await collect(frames)],
    [[pod('a', '5')], [{ type: 'ADDED', object: pod('a', '5'), bytes: 167 }]],
  )
  assert.deepEqual(
    it.server.calls.map(({ headers }) => headers.accept),
    [
      'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1',
      'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1',
    ],
  )
})

for (const secure of [false, true]) {
  const over = secure ? 'over HTTP/2' : 'over HTTP/1.1'

  test(`C76 frames pass as they come, and a watch ends when the server ends it, ${over}`, async () => {
    await using it = await setUp((call) => stream(call, added('a', '5')), { secure })
    await using frames = await it.api.watch(from('4'), signal)
    const iterator = oneByOne(frames)
    assert.equal(await nextName(iterator), 'a')
    const { response } = await it.server.called(1)
    response.write(`${JSON.stringify(added('b', '6'))}\n`)
    assert.equal(await nextName(iterator), 'b')
    response.end()
    assert.equal((await iterator.next()).done, true)
    assert.equal(it.clock.pending, 0)
  })

  test(`X2 C76 200 OK and then nothing is idle after timeoutSeconds and five, ${over}`, async () => {
    await using it = await setUp((call) => stream(call), { secure })
    await using frames = await it.api.watch(from('4'), signal)
    const next = frames[Symbol.asyncIterator]().next()
    const settled = next.then(
      () => 'ended',
      (error: unknown) => error,
    )
    await it.clock.advance(304_999)
    assert.equal(it.clock.pending, 1)
    await it.clock.advance(1)
    assert.equal(it.clock.pending, 0)
    assert.ok(failed('idle')(await settled))
  })

  test(`X3 a peer that falls silent is idle 150 s after its last chunk, once it has sent a bookmark, ${over}`, async () => {
    await using it = await setUp((call) => stream(call, added('a', '5'), bookmark('6')), { secure })
    await using frames = await it.api.watch(from('4'), signal)
    const iterator = oneByOne(frames)
    assert.deepEqual([await nextName(iterator), await nextName(iterator)], ['a', 'BOOKMARK'])
    await it.clock.advance(1_000_000) // not reading is no silence of the peer
    const { response } = await it.server.called(1)
    response.write(`${JSON.stringify(added('b', '7'))}\n`)
    assert.equal(await nextName(iterator), 'b')
    const settled = iterator.next().then(
      () => 'ended',
      (error: unknown) => error,
    )
    await it.clock.advance(149_999)
    assert.equal(it.clock.pending, 1)
    await it.clock.advance(1)
    assert.equal(it.clock.pending, 0)
    const error = await settled
    assert.ok(failed('idle')(error))
    assert.equal((error as KubeError).message, 'GET /api/v1/pods: nothing arrived for 150 s')
  })

  test(`X3 the marker of a streamed list promises no other bookmark: a quiet watch after it is not idle, ${over}`, async () => {
    const annotations = { 'k8s.io/initial-events-end': 'true' }
    const marker = { type: 'BOOKMARK', object: { kind: 'Pod', metadata: { resourceVersion: '6', annotations } } }
    await using it = await setUp((call) => stream(call, added('a', '5'), marker), { secure })
    await using frames = await it.api.watch({ timeoutSeconds: 300, sendInitialEvents: true }, signal)
    const iterator = oneByOne(frames)
    assert.deepEqual([await nextName(iterator), await nextName(iterator)], ['a', 'BOOKMARK'])
    const next = nextName(iterator)
    await it.clock.advance(304_999)
    const { response } = await it.server.called(1)
    response.write(`${JSON.stringify(added('b', '7'))}\n`)
    assert.equal(await next, 'b')
  })

  test(`X5 a connection that breaks within a line is a reset, ${over}`, async () => {
    await using it = await setUp((call) => stream(call, added('a', '5')), { secure })
    await using frames = await it.api.watch(from('4'), signal)
    const iterator = oneByOne(frames)
    await iterator.next()
    const { response } = await it.server.called(1)
    response.write('{"type":"ADDED","obj')
    response.end()
    await assert.rejects(iterator.next(), failed('reset'))
  })

  test(`a connection that is reset is a reset, ${over}`, async () => {
    await using it = await setUp((call) => stream(call, added('a', '5')), { secure })
    await using frames = await it.api.watch(from('4'), signal)
    const iterator = oneByOne(frames)
    await iterator.next()
    for (const socket of it.server.sockets) socket.destroy()
    await assert.rejects(iterator.next(), failed('reset'))
  })

  test(`X6 a watch of gzip members gives each frame when its member is in, wherever chunks are cut, ${over}`, async () => {
    await using it = await setUp(
      ({ response }) => {
        response.setHeader('content-encoding', 'gzip')
        response.flushHeaders()
      },
      { secure },
    )
    await using frames = await it.api.watch(from('4'), signal)
    const iterator = oneByOne(frames)
    const { response, headers } = await it.server.called(1)
    assert.equal(headers['accept-encoding'], 'gzip')
    const members = ['a', 'b', 'c', 'd'].map((name) => gzipSync(`${JSON.stringify(added(name, '5'))}\n`))
    const [a, b, c, d] = members as [Buffer, Buffer, Buffer, Buffer]
    response.write(a)
    assert.equal(await nextName(iterator), 'a')
    response.write(Buffer.concat([b, c.subarray(0, 1)]))
    assert.equal(await nextName(iterator), 'b')
    response.write(Buffer.concat([c.subarray(1), d]))
    assert.deepEqual([await nextName(iterator), await nextName(iterator)], ['c', 'd'])
    response.write(a.subarray(0, a.length - 12))
    response.end()
    await assert.rejects(iterator.next(), failed('reset'))
  })

  test(`C09 disposing a watch closes its response once, also under a pending read, ${over}`, async () => {
    await using it = await setUp((call) => stream(call, added('a', '5')), { secure })
    const frames = await it.api.watch(from('4'), signal)
    const { response } = await it.server.called(1)
    let closes = 0
    const closed = new Promise<void>((resolve) =>
      response.on('close', () => {
        closes++
        resolve()
      }),
    )
    const iterator = oneByOne(frames)
    await iterator.next()
    const pending = iterator.next()
    await frames[Symbol.asyncDispose]()
    await frames[Symbol.asyncDispose]()
    assert.deepEqual(await pending, { done: true, value: undefined })
    await closed
    assert.equal(closes, 1)
    assert.equal(it.clock.pending, 0)
  })
}

test('an unusable frame is thrown after what came before it in its chunk', async () => {
  await using it = await setUp((call) => {
    stream(call, added('a', '5'), added('b', '0'), added('c', '7'))
  })
  await using frames = await it.api.watch(from('4'), signal)
  const iterator = oneByOne(frames)
  assert.equal(await nextName(iterator), 'a')
  await assert.rejects(iterator.next(), failed('unusable'))
})

test('C10 an ERROR frame is the last, though the server keeps the response open', async () => {
  await using it = await setUp((call) => stream(call, { type: 'ERROR', object: status(410, 'Expired', 'too old') }))
  await using frames = await it.api.watch(from('4'), signal)
  const [frame, ...more] = await settle(collect(frames), it.clock)
  assert.ok(frame?.type === 'ERROR' && frame.error.code === 'expired')
  assert.deepEqual(more, [])
})

/** What the stream makes of lists that come one after another: the number of items, or the code of the error. */
async function outcomes(
  lists: readonly object[],
  options: ListWatchOptions & { resource?: Resource } = {},
): Promise<readonly (number | string)[]> {
  await using it = await setUp((call, index) => {
    json(call, { apiVersion: 'v1', metadata: { resourceVersion: '10' }, items: [], ...lists[index] })
  }, options)
  const all: (number | string)[] = []
  for (const _ of lists) {
    all.push(
      await it.api.list({ limit: 500 }, signal).then(
        ({ items }) => items.length,
        (error: KubeError) => error.code,
      ),
    )
  }
  return all
}

test('C23 a list without items is the list of a built-in type only by its own kind', async () => {
  const podLists = [{ kind: 'SecretList' }, { kind: 'List' }, { kind: 'Status' }, {}, { kind: 'PodList' }]
  assert.deepEqual(await outcomes(podLists), ['unusable', 'unusable', 'unusable', 'unusable', 0])
  for (const group of ['apps', 'gateway.networking.k8s.io']) {
    const apiVersion = `${group}/v1`
    const lists = [
      { kind: 'GadgetList', apiVersion },
      { kind: 'WidgetList', apiVersion },
    ]
    assert.deepEqual(await outcomes(lists, { resource: { ...widgets, group } }), ['unusable', 0])
  }
})

test('C23 a first list without items of a custom resource may have any name of a list, in its own apiVersion', async () => {
  const apiVersion = 'example.com/v1'
  const lists = [
    { kind: 'WidgetsList' },
    { kind: 'WidgetList' },
    { kind: 'Widgets', apiVersion },
    { kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1' },
    { kind: 'WidgetsList', apiVersion },
    { kind: 'WidgetList', apiVersion },
  ]
  const expected = ['unusable', 'unusable', 'unusable', 'unusable', 0, 0]
  assert.deepEqual(await outcomes(lists, { resource: widgets }), expected)
})

test('C23 once a list with items has told its kind, a list without items has that kind too', async () => {
  const apiVersion = 'example.com/v1'
  const widget = { ...pod('a', '5'), apiVersion, kind: 'Widget' }
  const lists = [
    { kind: 'Collection', apiVersion, items: [widget] },
    { kind: 'Collection', apiVersion },
    { kind: 'GadgetList', apiVersion },
    { kind: 'WidgetList', apiVersion },
  ]
  assert.deepEqual(await outcomes(lists, { resource: widgets }), [1, 0, 'unusable', 0])
})

test('C23 a list of metadata without items is a PartialObjectMetadataList', async () => {
  const lists = [{ kind: 'WidgetList', apiVersion: 'example.com/v1' }, { kind: 'PartialObjectMetadataList' }]
  assert.deepEqual(await outcomes(lists, { resource: widgets, metadataOnly: true }), ['unusable', 0])
})

test('X15 a watch that is refused is tried once, and says when to come again', async () => {
  await using it = await setUp((call) =>
    json(call, status(429, 'TooManyRequests', 'storage is (re)initializing'), 429, { 'retry-after': '3' }),
  )
  await assert.rejects(it.api.watch(from('4'), signal), (error) => {
    return failed('throttled')(error) && (error as KubeError).retryAfterMs === 3000
  })
  assert.equal(it.server.calls.length, 1)
})

test('X15 a list waits as long as the server asks while its cache is not ready', async () => {
  const times: number[] = []
  await using it = await setUp((call, index) => {
    times.push(it.clock.monotonic())
    if (index < 2) json(call, status(429, 'TooManyRequests', 'not ready'), 429, { 'retry-after': '3' })
    else json(call, { kind: 'PodList', metadata: { resourceVersion: '10' }, items: [] })
  })
  const page = await settle(it.api.list({ limit: 500 }, signal), it.clock)
  assert.equal(page.resourceVersion, '10')
  const [first = 0, second = 0, third = 0] = times
  assert.ok(times.length === 3 && second - first >= 3000 && third - second >= 3000, times.join())
})

test('C16 C17 C18 an expired page and a version that is too large are told at once, without a retry', async () => {
  const answers: readonly (readonly [object, number, KubeErrorCode])[] = [
    [status(410, 'Expired', 'The provided continue parameter is too old'), 410, 'expired'],
    [
      status(504, 'Timeout', 'Too large resource version: 9, current: 5', { retryAfterSeconds: 1 }),
      504,
      'too-large-resource-version',
    ],
  ]
  for (const [body, code, expected] of answers) {
    await using it = await setUp((call) => json(call, body, code, { 'retry-after': '1' }))
    await assert.rejects(settle(it.api.list({ limit: 500, continue: 'x' }, signal), it.clock), failed(expected))
    assert.equal(it.server.calls.length, 1)
  }
})

test('C23 a list that is no list of the resource is unusable and is not asked for again', async () => {
  await using it = await setUp((call) => json(call, { kind: 'Table', metadata: { resourceVersion: '1' }, rows: [] }))
  await assert.rejects(settle(it.api.list({ limit: 500 }, signal), it.clock), failed('unusable'))
  assert.equal(it.server.calls.length, 1)
})

test('X4 after a GOAWAY a running watch flows on, and new calls take a new connection', async () => {
  await using it = await setUp(
    (call) => {
      if (call.query.has('watch')) stream(call, added('a', '5'))
      else json(call, { kind: 'PodList', metadata: { resourceVersion: '10' }, items: [] })
    },
    { secure: true },
  )
  await using frames = await it.api.watch(from('4'), signal)
  const iterator = oneByOne(frames)
  await iterator.next()
  await it.api.list({ limit: 500 }, signal)
  assert.equal(it.server.connections, 1)
  const { response } = await it.server.called(1)
  it.server.sessions[0]?.goaway(0)
  // the frame tells that the GOAWAY before it has arrived
  response.write(`${JSON.stringify(added('b', '6'))}\n`)
  assert.equal(await nextName(iterator), 'b')
  await it.api.list({ limit: 500 }, signal)
  assert.equal(it.server.connections, 2)
  response.write(`${JSON.stringify(added('c', '7'))}\n`)
  assert.equal(await nextName(iterator), 'c')
  response.end()
  assert.equal((await iterator.next()).done, true)
})
