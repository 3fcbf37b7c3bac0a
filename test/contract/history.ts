import assert from 'node:assert/strict'
import { type Check, check, configMap, versionNow } from './check.ts'
import { assertFailure } from './client.ts'

/** What a server answers about the part of its history that it has forgotten. They disturb others: they run last. */
export const historyChecks: readonly Check[] = [
  check('what is forgotten is 410: a watch as ERROR frame in a 200, a list and its pages as status', async (bench) => {
    const { api, configMaps } = bench
    for (const name of ['a', 'b', 'c']) await api.post(configMaps, configMap(name))
    const then = await versionNow(bench)
    const page = await api.get(`${configMaps}?limit=1`)
    await api.delete(`${configMaps}/c`)
    await api.patch(`${configMaps}/a`, { data: { k: 'v' } })
    await api.forget()

    await using watch = await api.watch(`${configMaps}?resourceVersion=${then}`)
    const [frame, ...more] = await watch.rest()
    assert.deepEqual([frame?.type, more], ['ERROR', []])
    const { kind, status, code, reason, message } = frame?.object ?? {}
    assert.deepEqual([kind, status, code, reason], ['Status', 'Failure', 410, 'Expired'])
    assert.match(message, /^too old resource version: \d+ \(\d+\)$/)

    const list = await api.get(`${configMaps}?resourceVersion=${then}&resourceVersionMatch=Exact`)
    assertFailure(list, {
      code: 410,
      reason: 'Expired',
      message: 'The resourceVersion for the provided list is too old.',
    })

    const next = await api.get(`${configMaps}?limit=5&continue=${page.body.metadata.continue}`)
    assert.deepEqual([next.status, next.body.code, next.body.reason], [410, 410, 'Expired'])
    assert.match(next.body.message, /^The provided continue parameter is too old to display a consistent list result/)
    // The token in the answer goes on with the newest state
    const inconsistent = await api.get(`${configMaps}?limit=5&continue=${next.body.metadata.continue}`)
    assert.deepEqual(
      inconsistent.body.items.map(({ metadata }: typeof next.body) => metadata.name),
      ['b'],
    )
  }),
  check('WatchList from a version that is forgotten is no 410 but the newest state', async (bench) => {
    const { api, configMaps } = bench
    await api.post(configMaps, configMap('a'))
    await api.post(configMaps, configMap('b'))
    const then = await versionNow(bench)
    await api.delete(`${configMaps}/a`)
    await api.forget()
    const query = 'sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true'
    await using watch = await api.watch(`${configMaps}?${query}&resourceVersion=${then}`)
    const [state, marker] = await watch.take(2)
    assert.deepEqual([state?.type, state?.object.metadata.name, marker?.type], ['ADDED', 'b', 'BOOKMARK'])
    assert.ok(BigInt(marker?.object.metadata.resourceVersion) > BigInt(then))
  }),
  check('after history was forgotten, lists and watches from now on work as before', async (bench) => {
    const { api, configMaps } = bench
    await api.post(configMaps, configMap('a'))
    await api.forget()
    const then = await versionNow(bench)
    await using watch = await api.watch(`${configMaps}?resourceVersion=${then}`)
    await api.post(configMaps, configMap('b'))
    assert.equal((await watch.next()).object.metadata.name, 'b')
  }),
]
