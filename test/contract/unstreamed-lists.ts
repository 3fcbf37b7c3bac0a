import assert from 'node:assert/strict'
import { type Check, check, configMap, versionNow } from './check.ts'
import { assertFailure, summary } from './client.ts'

const MESSAGE = 'sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled'

/** What a server answers whose feature gate WatchList is off, as it is by default in 1.33. */
export const unstreamedListChecks: readonly Check[] = [
  check('without the feature, sendInitialEvents is 422, whatever its value', async ({ api, configMaps }) => {
    for (const value of ['true', 'false']) {
      const query = `sendInitialEvents=${value}&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true`
      assertFailure(await api.get(`${configMaps}?watch=true&${query}`), {
        code: 422,
        reason: 'Invalid',
        message: `ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: ${MESSAGE}`,
        details: {
          group: 'meta.k8s.io',
          kind: 'ListOptions',
          causes: [{ reason: 'FieldValueForbidden', message: `Forbidden: ${MESSAGE}`, field: 'sendInitialEvents' }],
        },
      })
    }
  }),
  check('without the feature, what else is wrong is named before it and after it', async ({ api, configMaps }) => {
    const query = 'sendInitialEvents=true&resourceVersionMatch=Exact'
    const { details } = (await api.get(`${configMaps}?watch=true&${query}`)).body
    assert.deepEqual(
      details.causes.map(({ field, message }: (typeof details.causes)[number]) => [field, message]),
      [
        ['resourceVersionMatch', 'Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan'],
        ['sendInitialEvents', `Forbidden: ${MESSAGE}`],
        ['resourceVersionMatch', 'Unsupported value: "Exact": supported values: "NotOlderThan"'],
      ],
    )
  }),
  check('without the feature, a watch without a version begins with the state, which has no marker', async (bench) => {
    const { api, configMaps } = bench
    await api.post(configMaps, configMap('a'))
    for (const query of ['', '&resourceVersion=0']) {
      await using watch = await api.watch(`${configMaps}?allowWatchBookmarks=true&timeoutSeconds=1${query}`)
      assert.deepEqual(summary(await watch.rest()), ['ADDED a'])
    }
  }),
  check('without the feature, lists and watches from a version are as ever', async (bench) => {
    const { api, configMaps } = bench
    await using watch = await api.watch(`${configMaps}?resourceVersion=${await versionNow(bench)}`)
    await api.post(configMaps, configMap('a'))
    assert.deepEqual(summary([await watch.next()]), ['ADDED a'])
  }),
]
