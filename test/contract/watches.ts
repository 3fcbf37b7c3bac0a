import assert from 'node:assert/strict'
import { type Check, check, configMap, versionNow } from './check.ts'
import { assertFailure, type Json, summary } from './client.ts'

const WATCH_LIST = 'sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true'
const END_OF_STATE = { 'k8s.io/initial-events-end': 'true' }

export const watchChecks: readonly Check[] = [
  check('a watch reports creation, change and deletion in order, with growing versions', async (bench) => {
    const { api, configMaps } = bench
    await using watch = await api.watch(`${configMaps}?resourceVersion=${await versionNow(bench)}`)
    await api.post(configMaps, configMap('a'))
    await api.patch(`${configMaps}/a`, { data: { k: 'v' } })
    await api.delete(`${configMaps}/a`)
    const frames = await watch.take(3)
    assert.deepEqual(summary(frames), ['ADDED a', 'MODIFIED a', 'DELETED a'])
    const versions = frames.map(({ object }) => BigInt(object.metadata.resourceVersion))
    assert.deepEqual(
      versions,
      [...versions].sort((a, b) => (a < b ? -1 : 1)),
    )
    assert.equal(new Set(versions).size, 3)
  }),
  check('watch objects have kind and apiVersion, and are what get gives', async (bench) => {
    const { api, configMaps } = bench
    await using watch = await api.watch(`${configMaps}?resourceVersion=${await versionNow(bench)}`)
    const created = (await api.post(configMaps, configMap('a', { data: { k: 'v' } }))).body
    assert.deepEqual((await watch.next()).object, created)
  }),
  check('DELETED carries the last state, at the version of the deletion', async (bench) => {
    const { api, configMaps } = bench
    const last = (await api.post(configMaps, configMap('a', { data: { k: 'v' } }))).body
    await using watch = await api.watch(`${configMaps}?resourceVersion=${last.metadata.resourceVersion}`)
    await api.delete(`${configMaps}/a`)
    const { object } = await watch.next()
    assert.ok(BigInt(object.metadata.resourceVersion) > BigInt(last.metadata.resourceVersion))
    assert.deepEqual(
      { ...object, metadata: { ...object.metadata, resourceVersion: last.metadata.resourceVersion } },
      last,
    )
  }),
  check('a watch from an older version replays what happened since', async (bench) => {
    const { api, configMaps } = bench
    const then = await versionNow(bench)
    await api.post(configMaps, configMap('a'))
    await api.patch(`${configMaps}/a`, { data: { k: 'v' } })
    await api.delete(`${configMaps}/a`)
    await api.post(configMaps, configMap('a'))
    await using watch = await api.watch(`${configMaps}?resourceVersion=${then}`)
    assert.deepEqual(summary(await watch.take(4)), ['ADDED a', 'MODIFIED a', 'DELETED a', 'ADDED a'])
  }),
  check('a watch from a version does not repeat that version', async ({ api, configMaps }) => {
    const first = (await api.post(configMaps, configMap('a'))).body
    await api.post(configMaps, configMap('b'))
    await using watch = await api.watch(`${configMaps}?resourceVersion=${first.metadata.resourceVersion}`)
    assert.deepEqual(summary([await watch.next()]), ['ADDED b'])
  }),
  check('a watch without a version, and from 0, begins with the state', async ({ api, configMaps }) => {
    await api.post(configMaps, configMap('a'))
    await api.patch(`${configMaps}/a`, { data: { k: 'v' } })
    await api.get(configMaps)
    for (const query of ['', '?resourceVersion=0']) {
      await using watch = await api.watch(`${configMaps}${query}`)
      const state = await watch.next()
      assert.deepEqual([...summary([state]), state.object.data], ['ADDED a', { k: 'v' }])
    }
  }),
  check('timeoutSeconds closes a watch cleanly', async (bench) => {
    await using watch = await bench.api.watch(
      `${bench.configMaps}?timeoutSeconds=1&resourceVersion=${await versionNow(bench)}`,
    )
    assert.deepEqual(await watch.rest(), [])
  }),
  check('WatchList sends the state, then one bookmark that says so, then what changes', async ({ api, configMaps }) => {
    await api.post(configMaps, configMap('a'))
    await api.post(configMaps, configMap('b'))
    await using watch = await api.watch(`${configMaps}?${WATCH_LIST}`)
    const state = await watch.take(2)
    assert.deepEqual(new Set(summary(state)), new Set(['ADDED a', 'ADDED b']))
    const { type, object } = await watch.next()
    const { resourceVersion } = object.metadata
    assert.deepEqual(
      [type, object],
      ['BOOKMARK', { kind: 'ConfigMap', apiVersion: 'v1', metadata: { resourceVersion, annotations: END_OF_STATE } }],
    )
    for (const frame of state) assert.ok(BigInt(resourceVersion) >= BigInt(frame.object.metadata.resourceVersion))
    await api.delete(`${configMaps}/a`)
    let change = await watch.next()
    while (change.type === 'BOOKMARK') change = await watch.next() // one may be due just now
    assert.deepEqual(summary([change]), ['DELETED a'])
  }),
  check('WatchList of nothing is the bookmark alone', async ({ api, configMaps }) => {
    await using watch = await api.watch(`${configMaps}?${WATCH_LIST}`)
    const { type, object } = await watch.next()
    assert.deepEqual([type, object.metadata.annotations], ['BOOKMARK', END_OF_STATE])
  }),
  check('WatchList from a version sends the newest state', async (bench) => {
    const { api, configMaps } = bench
    const then = await versionNow(bench)
    await api.post(configMaps, configMap('a'))
    await api.patch(`${configMaps}/a`, { data: { k: 'v' } })
    await api.get(configMaps)
    await using watch = await api.watch(`${configMaps}?${WATCH_LIST}&resourceVersion=${then}`)
    const [state, marker] = await watch.take(2)
    assert.deepEqual([state?.type, state?.object.data, marker?.type], ['ADDED', { k: 'v' }, 'BOOKMARK'])
  }),
  check('WatchList sends what a list has, object by object', async ({ api, configMaps }) => {
    for (const name of ['a', 'b', 'c']) await api.post(configMaps, configMap(name, { data: { k: name } }))
    await api.patch(`${configMaps}/b`, { data: { more: 'v' } })
    await using watch = await api.watch(`${configMaps}?${WATCH_LIST}`)
    const state = await watch.take(3)
    const { items } = (await api.get(configMaps)).body
    const sent = state.map(({ object: { kind, apiVersion, ...object } }) => object)
    assert.deepEqual(
      sent.sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1)),
      items,
    )
  }),
  check(
    'WatchList with a selector sends the objects that match, and its marker also if there is none',
    async (bench) => {
      const { api, configMaps } = bench
      await api.post(configMaps, configMap('a', { metadata: { labels: { app: 'x' } } }))
      await api.post(configMaps, configMap('b'))
      await using some = await api.watch(`${configMaps}?${WATCH_LIST}&labelSelector=app%3Dx`)
      const [state, marker] = await some.take(2)
      assert.deepEqual([state?.object.metadata.name, marker?.object.metadata.annotations], ['a', END_OF_STATE])
      await using none = await api.watch(`${configMaps}?${WATCH_LIST}&fieldSelector=metadata.name%3Dz`)
      assert.deepEqual((await none.next()).object.metadata.annotations, END_OF_STATE)
    },
  ),
  check('WatchList has its marker also where no watch cache is, as for KubeEvents', async ({ api, namespace }) => {
    const events = `/api/v1/namespaces/${namespace}/events`
    const involvedObject = { kind: 'Pod', name: 'web', namespace }
    const created = await api.post(events, {
      metadata: { name: 'a' },
      involvedObject,
      reason: 'Pulled',
      type: 'Normal',
    })
    assert.equal(created.status, 201, created.text)
    for (const from of ['', `&resourceVersion=${created.body.metadata.resourceVersion}`]) {
      await using watch = await api.watch(`${events}?${WATCH_LIST}${from}`)
      const [state, marker] = await watch.take(2)
      assert.deepEqual(
        [state?.type, state?.object.metadata.name, marker?.type, marker?.object.metadata.annotations],
        ['ADDED', 'a', 'BOOKMARK', END_OF_STATE],
      )
    }
  }),
  check('WatchList without bookmarks sends the state and never says that it has ended', async ({ api, configMaps }) => {
    await api.post(configMaps, configMap('a'))
    const query = 'sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=3'
    await using watch = await api.watch(`${configMaps}?${query}`)
    assert.deepEqual(summary(await watch.rest()), ['ADDED a'])
  }),
  check('sendInitialEvents=false begins with what comes: no state, no marker', async ({ api, configMaps }) => {
    await api.post(configMaps, configMap('a'))
    await api.get(configMaps)
    const query = 'sendInitialEvents=false&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true'
    await using watch = await api.watch(`${configMaps}?${query}`)
    await api.post(configMaps, configMap('b'))
    let frame = await watch.next()
    while (frame.type === 'BOOKMARK') {
      assert.equal(frame.object.metadata.annotations, undefined)
      frame = await watch.next()
    }
    assert.deepEqual(summary([frame]), ['ADDED b'])
  }),
  check('WatchList is refused to who may not watch: 403, before anything else', async ({ api, server, configMaps }) => {
    const authorization = `Bearer ${server.limitedToken}`
    const answer = await api.get(`${configMaps}?watch=true&${WATCH_LIST}`, { authorization })
    assertFailure(answer, { code: 403, reason: 'Forbidden', message: /cannot watch resource "configmaps"/ })
  }),
  check('a watch is not compressed, however long, also for who takes gzip', async ({ api, configMaps }) => {
    await api.post(configMaps, configMap('a', { data: { k: 'v'.repeat(200_000) } }))
    const answer = await api.get(`${configMaps}?watch=true&${WATCH_LIST}&timeoutSeconds=1`, {
      'accept-encoding': 'gzip',
    })
    assert.equal(answer.headers['content-encoding'], undefined)
    assert.match(answer.text, /^\{"type":"ADDED"/)
  }),
  check('a watch without a version that takes bookmarks is a WatchList too', async ({ api, configMaps }) => {
    await api.post(configMaps, configMap('a'))
    await using watch = await api.watch(`${configMaps}?allowWatchBookmarks=true`)
    const [state, marker] = await watch.take(2)
    assert.deepEqual([state?.type, marker?.object.metadata.annotations], ['ADDED', END_OF_STATE])
  }),
  check('nobody gets bookmarks without asking', async ({ api, configMaps }) => {
    await api.post(configMaps, configMap('a'))
    await using watch = await api.watch(`${configMaps}?timeoutSeconds=4`)
    assert.deepEqual(summary(await watch.rest()), ['ADDED a'])
  }),
  check('a bookmark comes before the timeout, at a version from which a watch can go on', async (bench) => {
    const { api, configMaps } = bench
    const then = await versionNow(bench)
    await using watch = await api.watch(
      `${configMaps}?resourceVersion=${then}&allowWatchBookmarks=true&timeoutSeconds=4`,
    )
    await api.post(configMaps, configMap('a'))
    const frames = await watch.rest()
    assert.equal(frames[0]?.type, 'ADDED')
    const bookmark = frames.at(-1)
    assert.deepEqual(
      [bookmark?.type, bookmark?.object.kind, bookmark?.object.metadata.annotations],
      ['BOOKMARK', 'ConfigMap', undefined],
    )
    assert.ok(BigInt(bookmark?.object.metadata.resourceVersion) >= BigInt(frames[0]?.object.metadata.resourceVersion))
    await using next = await api.watch(`${configMaps}?resourceVersion=${bookmark?.object.metadata.resourceVersion}`)
    await api.post(configMaps, configMap('b'))
    assert.deepEqual(summary([await next.next()]), ['ADDED b'])
  }),
  check('an object that comes to match a selector is ADDED, one that no longer does is DELETED', async (bench) => {
    const { api, configMaps } = bench
    await using watch = await api.watch(
      `${configMaps}?labelSelector=app%3Dx&resourceVersion=${await versionNow(bench)}`,
    )
    await api.post(configMaps, configMap('a', { metadata: { labels: { app: 'y' } } }))
    await api.patch(`${configMaps}/a`, { metadata: { labels: { app: 'x' } } })
    await api.patch(`${configMaps}/a`, { data: { k: 'v' } })
    const left = (await api.patch(`${configMaps}/a`, { data: { k: 'w' }, metadata: { labels: { app: 'y' } } })).body
    await api.delete(`${configMaps}/a`)
    await api.post(configMaps, configMap('b', { metadata: { labels: { app: 'x' } } }))
    const frames = await watch.take(4)
    assert.deepEqual(summary(frames), ['ADDED a', 'MODIFIED a', 'DELETED a', 'ADDED b'])
    const { object } = frames[2] ?? assert.fail()
    // The last state that matched, at the version of the change that made it leave
    assert.deepEqual(
      [object.metadata.labels, object.data, object.metadata.resourceVersion],
      [{ app: 'x' }, { k: 'v' }, left.metadata.resourceVersion],
    )
  }),
  check('a watch of one namespace, or one name, says nothing of others', async (bench) => {
    const { api, configMaps, namespace } = bench
    const then = await versionNow(bench)
    await using inNamespace = await api.watch(`${configMaps}?resourceVersion=${then}`)
    await using byField = await api.watch(
      `/api/v1/configmaps?fieldSelector=metadata.namespace%3D${namespace},metadata.name%3Db&resourceVersion=${then}`,
    )
    await api.post('/api/v1/namespaces/default/configmaps', configMap(`elsewhere-${namespace}`))
    await api.post(configMaps, configMap('a'))
    await api.post(configMaps, configMap('b'))
    assert.deepEqual(summary(await inNamespace.take(2)), ['ADDED a', 'ADDED b'])
    assert.deepEqual(summary([await byField.next()]), ['ADDED b'])
  }),
  check('a path with a name is a get, whatever the query says of watching', async ({ api, configMaps }) => {
    const created = (await api.post(configMaps, configMap('a'))).body
    assert.deepEqual((await api.get(`${configMaps}/a?watch=true`)).body, created)
    assertFailure(await api.get(`${configMaps}/b?watch=true`), { code: 404, reason: 'NotFound' })
  }),
  check(
    'a finalizer makes a deletion two frames: MODIFIED, then DELETED with the last state that was stored',
    async (bench) => {
      const { api, configMaps } = bench
      await using watch = await api.watch(`${configMaps}?resourceVersion=${await versionNow(bench)}`)
      await api.post(configMaps, configMap('a', { metadata: { finalizers: ['example.com/hold'] } }))
      await api.delete(`${configMaps}/a`)
      await api.patch(`${configMaps}/a`, { metadata: { finalizers: null } })
      const frames = await watch.take(3)
      assert.deepEqual(summary(frames), ['ADDED a', 'MODIFIED a', 'DELETED a'])
      assert.ok(frames[1]?.object.metadata.deletionTimestamp)
      assert.deepEqual(frames[2]?.object.metadata.finalizers, ['example.com/hold'])
    },
  ),
  check('a name taken again has another uid', async (bench) => {
    const { api, configMaps } = bench
    await using watch = await api.watch(`${configMaps}?resourceVersion=${await versionNow(bench)}`)
    await api.post(configMaps, configMap('a'))
    await api.delete(`${configMaps}/a`)
    await api.post(configMaps, configMap('a'))
    const [first, gone, second] = await watch.take(3)
    assert.equal(first?.object.metadata.uid, gone?.object.metadata.uid)
    assert.notEqual(first?.object.metadata.uid, second?.object.metadata.uid)
  }),
  check('a watch from a version that is not reached yet opens and leaves out what comes before it', async (bench) => {
    const { api, configMaps } = bench
    const future = BigInt(await versionNow(bench)) + 1_000_000n
    await using watch = await api.watch(`${configMaps}?resourceVersion=${future}&timeoutSeconds=1`)
    await api.post(configMaps, configMap('a'))
    assert.deepEqual(await watch.rest(), [])
  }),
  check('WatchList from a version that is not reached yet is 200 with an ERROR frame of code 504', async (bench) => {
    const future = BigInt(await versionNow(bench)) + 1_000_000n
    await using watch = await bench.api.watch(`${bench.configMaps}?${WATCH_LIST}&resourceVersion=${future}`)
    const [frame, ...more] = await watch.rest()
    assert.deepEqual([frame?.type, more], ['ERROR', []])
    assert.deepEqual([frame?.object.code, frame?.object.details.causes[0].reason], [504, 'ResourceVersionTooLarge'])
  }),
  check('a watch with options that contradict each other is 422', async ({ api, configMaps }) => {
    const table: Record<string, RegExp> = {
      'sendInitialEvents=true': /sendInitialEvents requires setting resourceVersionMatch to NotOlderThan/,
      'sendInitialEvents=true&resourceVersionMatch=Exact': /supported values: "NotOlderThan"/,
      'resourceVersionMatch=NotOlderThan':
        /resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided/,
    }
    for (const [query, message] of Object.entries(table)) {
      assertFailure(await api.get(`${configMaps}?watch=true&${query}`), { code: 422, reason: 'Invalid', message })
    }
    // everything that is wrong is named, in this order
    const several = 'resourceVersionMatch=Exact&continue=abc'
    const { details } = (await api.get(`${configMaps}?watch=true&${several}`)).body
    assert.deepEqual(
      details.causes.map(({ message }: Json) => message),
      [
        'Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
        'Unsupported value: "Exact": supported values: "NotOlderThan"',
        'Forbidden: resourceVersionMatch is forbidden when continue is provided',
      ],
    )
  }),
  check('a watch from a version that is no number is 500, not 400 as for a list', async ({ api, configMaps }) => {
    assertFailure(await api.get(`${configMaps}?watch=true&resourceVersion=abc`), {
      code: 500,
      message: /^resourceVersion: Invalid value: "abc"/,
    })
  }),
  check('a watch can be of metadata only, bookmarks included', async ({ api, configMaps }) => {
    const { metadata } = (await api.post(configMaps, configMap('a', { data: { k: 'v' } }))).body
    await using watch = await api.watch(`${configMaps}?${WATCH_LIST}`, {
      accept: 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1',
    })
    const [state, marker] = await watch.take(2)
    assert.deepEqual(state?.object, { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata })
    assert.deepEqual([marker?.type, marker?.object.metadata.annotations], ['BOOKMARK', END_OF_STATE])
  }),
  check('a status write is a change like any other', async (bench) => {
    const { api, namespace } = bench
    await using watch = await api.watch(
      `/api/v1/namespaces?fieldSelector=metadata.name%3D${namespace}&resourceVersion=${await versionNow(bench)}`,
    )
    const conditions = [{ type: 'Checked', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' }]
    await api.patch(`/api/v1/namespaces/${namespace}/status`, { status: { conditions } })
    const { type, object } = await watch.next()
    assert.deepEqual([type, object.status.conditions], ['MODIFIED', conditions])
  }),
]
