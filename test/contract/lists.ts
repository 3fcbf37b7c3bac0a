import assert from 'node:assert/strict'
import { type Bench, type Check, check, configMap, versionNow } from './check.ts'
import { type Answer, assertFailure, type Json } from './client.ts'

function names({ body }: Answer): readonly string[] {
  return body.items.map(({ metadata }: Json) => metadata.name)
}

async function create({ api, configMaps }: Bench, ...wanted: readonly string[]): Promise<void> {
  for (const name of wanted) assert.equal((await api.post(configMaps, configMap(name))).status, 201)
}

const METADATA_LIST = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1'
const METADATA = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1'

export const listChecks: readonly Check[] = [
  check('a list has its own kind and version, and built-in items have neither kind nor apiVersion', async (bench) => {
    await create(bench, 'a')
    const { body } = await bench.api.get(bench.configMaps)
    assert.deepEqual(
      [body.kind, body.apiVersion, Object.keys(body.metadata)],
      ['ConfigMapList', 'v1', ['resourceVersion']],
    )
    assert.deepEqual(Object.keys(body.items[0]), ['metadata'])
    assert.ok(BigInt(body.metadata.resourceVersion) >= BigInt(body.items[0].metadata.resourceVersion))
  }),
  check('an empty list has an empty array of items', async ({ api, configMaps }) => {
    assert.deepEqual((await api.get(configMaps)).body.items, [])
  }),
  check('a list of a namespace that does not exist is empty, not 404', async ({ api, unique }) => {
    const { status, body } = await api.get(`/api/v1/namespaces/${unique}/configmaps`)
    assert.deepEqual([status, body.items], [200, []])
  }),
  check('lists are in order of namespace and name', async (bench) => {
    await create(bench, 'c', 'a.b', 'a', 'a-b', 'b')
    assert.deepEqual(names(await bench.api.get(bench.configMaps)), ['a', 'a-b', 'a.b', 'b', 'c'])
  }),
  check('a list over all namespaces has the objects of each', async (bench) => {
    await create(bench, 'a')
    const { body } = await bench.api.get('/api/v1/configmaps')
    assert.ok(body.items.some(({ metadata }: Json) => metadata.namespace === bench.namespace && metadata.name === 'a'))
  }),
  check('pages show one state: what is written in between is not in them', async (bench) => {
    const { api, configMaps } = bench
    await create(bench, 'a', 'b', 'c', 'd', 'e')
    const first = await api.get(`${configMaps}?limit=2`)
    await create(bench, 'bb', 'f')
    await api.delete(`${configMaps}/d`)
    const second = await api.get(`${configMaps}?limit=2&continue=${first.body.metadata.continue}`)
    const third = await api.get(`${configMaps}?limit=2&continue=${second.body.metadata.continue}`)
    assert.deepEqual([first, second, third].map(names), [['a', 'b'], ['c', 'd'], ['e']])
    assert.equal(new Set([first, second, third].map(({ body }) => body.metadata.resourceVersion)).size, 1)
    assert.deepEqual(
      [first, second, third].map(({ body }) => body.metadata.remainingItemCount),
      [3, 1, undefined],
    )
    assert.equal(third.body.metadata.continue, undefined)
  }),
  check('pages of a selection do not say how many remain', async ({ api, configMaps }) => {
    for (const name of ['a', 'b', 'c', 'd']) {
      await api.post(configMaps, configMap(name, { metadata: { labels: { app: name === 'b' ? 'y' : 'x' } } }))
    }
    const first = await api.get(`${configMaps}?limit=2&labelSelector=app%3Dx`)
    assert.equal(first.body.metadata.remainingItemCount, undefined)
    const second = await api.get(`${configMaps}?limit=2&labelSelector=app%3Dx&continue=${first.body.metadata.continue}`)
    assert.deepEqual([first, second].map(names), [['a', 'c'], ['d']])
  }),
  check('a page that ends exactly at the end has no continue token', async (bench) => {
    await create(bench, 'a', 'b')
    const { body } = await bench.api.get(`${bench.configMaps}?limit=2`)
    assert.deepEqual([body.items.length, body.metadata.continue], [2, undefined])
  }),
  check('a continue token that is none is 400', async ({ api, configMaps }) => {
    assertFailure(await api.get(`${configMaps}?continue=foo`), {
      code: 400,
      reason: 'BadRequest',
      message: /continue key is not valid/,
    })
  }),
  check('label selectors select by equality, by set and by presence', async ({ api, configMaps }) => {
    await api.post(configMaps, configMap('red', { metadata: { labels: { colour: 'red', size: '1' } } }))
    await api.post(configMaps, configMap('blue', { metadata: { labels: { colour: 'blue' } } }))
    await api.post(configMaps, configMap('none'))
    const table: Record<string, readonly string[]> = {
      'colour=red': ['red'],
      'colour==red': ['red'],
      'colour!=red': ['blue', 'none'],
      'colour in (red,blue)': ['blue', 'red'],
      'colour in (red, blue), size': ['red'],
      'colour notin (red)': ['blue', 'none'],
      colour: ['blue', 'red'],
      '!colour': ['none'],
      'colour,!size': ['blue'],
      'size>0': ['red'],
      'size > 1': [],
      'size < 002': ['red'],
      'colour>0': [],
    }
    for (const [selector, expected] of Object.entries(table)) {
      assert.deepEqual(
        names(await api.get(`${configMaps}?labelSelector=${encodeURIComponent(selector)}`)),
        expected,
        selector,
      )
    }
  }),
  check('a label selector that cannot be parsed is 400', async ({ api, configMaps }) => {
    for (const selector of ['a=b,,c', 'a in b', 'a b', 'a>b', 'a<']) {
      assertFailure(await api.get(`${configMaps}?labelSelector=${encodeURIComponent(selector)}`), {
        code: 400,
        reason: 'BadRequest',
      })
    }
  }),
  check('field selectors know name and namespace everywhere', async (bench) => {
    const { api, configMaps, namespace } = bench
    await create(bench, 'a', 'b')
    assert.deepEqual(names(await api.get(`${configMaps}?fieldSelector=metadata.name%3Da`)), ['a'])
    assert.deepEqual(names(await api.get(`${configMaps}?fieldSelector=metadata.name!%3Da`)), ['b'])
    assert.deepEqual(names(await api.get(`/api/v1/configmaps?fieldSelector=metadata.namespace%3D${namespace}`)), [
      'a',
      'b',
    ])
  }),
  check('field selectors of pods know phase and node', async ({ api, namespace }) => {
    const pods = `/api/v1/namespaces/${namespace}/pods`
    await api.post(`/api/v1/namespaces/${namespace}/serviceaccounts`, { metadata: { name: 'default' } })
    for (const [name, nodeName] of [
      ['here', 'n1'],
      ['there', 'n2'],
      ['nowhere', undefined],
    ]) {
      const spec = { containers: [{ name: 'c', image: 'i' }], ...(nodeName ? { nodeName } : {}) }
      const created = await api.post(pods, { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec })
      assert.equal(created.status, 201, created.text)
    }
    assert.equal((await api.patch(`${pods}/here/status`, { status: { phase: 'Running' } })).status, 200)
    assert.deepEqual(names(await api.get(`${pods}?fieldSelector=spec.nodeName%3Dn2`)), ['there'])
    assert.deepEqual(names(await api.get(`${pods}?fieldSelector=spec.nodeName%3D`)), ['nowhere'])
    assert.deepEqual(names(await api.get(`${pods}?fieldSelector=status.phase%3DRunning`)), ['here'])
    assert.deepEqual(names(await api.get(`${pods}?fieldSelector=status.phase!%3DRunning,spec.nodeName!%3D`)), ['there'])
  }),
  check('a field that cannot be selected is 400', async ({ api, configMaps, namespace }) => {
    const message = '"data.k" is not a known field selector: only "metadata.name", "metadata.namespace"'
    assertFailure(await api.get(`${configMaps}?fieldSelector=data.k%3Dv`), { code: 400, reason: 'BadRequest', message })
    const pods = await api.get(`/api/v1/namespaces/${namespace}/pods?fieldSelector=spec.foo%3Dv`)
    assertFailure(pods, { code: 400, reason: 'BadRequest', message: 'field label not supported: spec.foo' })
  }),
  check('resourceVersion=0 ignores the limit', async (bench) => {
    await create(bench, 'a', 'b', 'c')
    // The newest state is not promised at 0: a consistent read first makes the cache catch up
    await bench.api.get(bench.configMaps)
    const { body } = await bench.api.get(`${bench.configMaps}?limit=1&resourceVersion=0`)
    assert.deepEqual([body.items.length, body.metadata.continue], [3, undefined])
  }),
  check('Exact shows the state of that version, deleted objects included', async (bench) => {
    const { api, configMaps } = bench
    await create(bench, 'a', 'b')
    const then = await versionNow(bench)
    await api.delete(`${configMaps}/a`)
    await api.patch(`${configMaps}/b`, { data: { k: 'v' } })
    await create(bench, 'c')
    const exact = await api.get(`${configMaps}?resourceVersion=${then}&resourceVersionMatch=Exact`)
    assert.deepEqual(
      [names(exact), exact.body.metadata.resourceVersion, exact.body.items[1].data],
      [['a', 'b'], then, undefined],
    )
    const implied = await api.get(`${configMaps}?resourceVersion=${then}&limit=1`)
    assert.deepEqual([names(implied), implied.body.metadata.resourceVersion], [['a'], then])
    // A consistent read first: NotOlderThan alone does not promise the newest
    await api.get(configMaps)
    const newest = await api.get(`${configMaps}?resourceVersion=${then}&resourceVersionMatch=NotOlderThan`)
    assert.deepEqual(names(newest), ['b', 'c'])
  }),
  check('resourceVersionMatch without, or with a wrong, version or value is 422', async ({ api, configMaps }) => {
    const table: Record<string, readonly [reason: string, message: string]> = {
      'resourceVersionMatch=Exact': [
        'FieldValueForbidden',
        'Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided',
      ],
      'resourceVersionMatch=Exact&resourceVersion=0': [
        'FieldValueForbidden',
        'Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
      ],
      'resourceVersionMatch=Foo&resourceVersion=1': [
        'FieldValueNotSupported',
        'Unsupported value: "Foo": supported values: "Exact", "NotOlderThan", ""',
      ],
    }
    for (const [query, [reason, message]] of Object.entries(table)) {
      const field = 'resourceVersionMatch'
      const details = { group: 'meta.k8s.io', kind: 'ListOptions', causes: [{ reason, message, field }] }
      assertFailure(await api.get(`${configMaps}?${query}`), {
        code: 422,
        reason: 'Invalid',
        message: `ListOptions.meta.k8s.io "" is invalid: ${field}: ${message}`,
        details,
      })
    }
    const sendInitialEvents = await api.get(`${configMaps}?sendInitialEvents=true`)
    assertFailure(sendInitialEvents, {
      code: 422,
      reason: 'Invalid',
      message: /sendInitialEvents is forbidden for list/,
    })
  }),
  check('a version that is no number is 400', async ({ api, configMaps }) => {
    const message =
      'invalid resource version: resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc": invalid syntax'
    assertFailure(await api.get(`${configMaps}?resourceVersion=abc`), { code: 400, reason: 'BadRequest', message })
    assertFailure(await api.get(`${configMaps}?limit=abc`), { code: 400, reason: 'BadRequest' })
  }),
  check(
    'a version that the server has not reached is 504 ResourceVersionTooLarge, to be asked again',
    async (bench) => {
      const future = BigInt(await versionNow(bench)) + 1_000_000n
      assertFailure(await bench.api.get(`${bench.configMaps}?resourceVersion=${future}`), {
        code: 504,
        reason: 'Timeout',
        message: /^Timeout: Too large resource version: \d+, current: \d+$/,
        details: {
          causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
          retryAfterSeconds: 1,
        },
      })
    },
  ),
  check(
    'a list of more than 128 KB is compressed for who takes gzip, a smaller one is not',
    async ({ api, configMaps }) => {
      await api.post(configMaps, configMap('a', { data: { k: 'x'.repeat(1_000) } }))
      assert.equal((await api.get(configMaps, { 'accept-encoding': 'gzip' })).headers['content-encoding'], undefined)
      await api.post(configMaps, configMap('b', { data: { k: 'x'.repeat(200_000) } }))
      const large = await api.get(configMaps, { 'accept-encoding': 'gzip' })
      assert.deepEqual([large.headers['content-encoding'], names(large)], ['gzip', ['a', 'b']])
      assert.equal(
        (await api.get(configMaps, { 'accept-encoding': 'identity' })).headers['content-encoding'],
        undefined,
      )
    },
  ),
  check(
    'PartialObjectMetadata is the metadata and nothing else, on its own and in lists',
    async ({ api, configMaps }) => {
      const { metadata } = (await api.post(configMaps, configMap('a', { data: { k: 'v' } }))).body
      const partial = { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata }
      assert.deepEqual((await api.get(`${configMaps}/a`, { accept: METADATA })).body, partial)
      const { body } = await api.get(configMaps, { accept: METADATA_LIST })
      assert.deepEqual(
        [body.kind, body.apiVersion, body.items],
        ['PartialObjectMetadataList', 'meta.k8s.io/v1', [partial]],
      )
    },
  ),
  check('a form that the server does not have is 406', async ({ api, configMaps }) => {
    assertFailure(await api.get(configMaps, { accept: 'application/xml' }), {
      code: 406,
      reason: 'NotAcceptable',
      details: {},
    })
  }),
]
