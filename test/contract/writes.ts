import assert from 'node:assert/strict'
import { type Check, check, configMap, deployment } from './check.ts'
import { assertFailure } from './client.ts'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const SECONDS = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/

export const writeChecks: readonly Check[] = [
  check(
    'create answers 201 with uid, version and time, and without a generation where the type has none',
    async ({ api, configMaps, namespace }) => {
      const { status, body } = await api.post(
        configMaps,
        configMap('a', { data: { k: 'v' }, metadata: { labels: { app: 'x' } } }),
      )
      assert.equal(status, 201)
      const { uid, resourceVersion, creationTimestamp, managedFields, ...rest } = body.metadata
      assert.deepEqual(rest, { name: 'a', namespace, labels: { app: 'x' } })
      assert.match(uid, UUID)
      assert.match(resourceVersion, /^[1-9][0-9]*$/)
      assert.match(creationTimestamp, SECONDS)
      assert.equal(managedFields.length, 1)
      assert.deepEqual([body.kind, body.apiVersion, body.data], ['ConfigMap', 'v1', { k: 'v' }])
    },
  ),
  check(
    'managedFields names the program, or the fieldManager of the request, and the fields it wrote',
    async ({ api, configMaps }) => {
      const [entry] = (await api.post(configMaps, configMap('a', { data: { k: 'v' } }))).body.metadata.managedFields
      assert.match(entry.time, SECONDS)
      const expected = {
        manager: 'contract',
        operation: 'Update',
        apiVersion: 'v1',
        fieldsType: 'FieldsV1',
        fieldsV1: { 'f:data': { '.': {}, 'f:k': {} } },
      }
      assert.deepEqual({ ...entry, time: undefined }, { ...expected, time: undefined })
      const patched = await api.patch(`${configMaps}/a?fieldManager=other`, { data: { k: 'w', l: 'x' } })
      const fields = patched.body.metadata.managedFields.map((one: typeof entry) => [one.manager, one.fieldsV1])
      assert.deepEqual(
        new Map(fields),
        new Map([
          ['contract', { 'f:data': {} }],
          ['other', { 'f:data': { 'f:k': {}, 'f:l': {} } }],
        ]),
      )
    },
  ),
  check('generateName gets five characters appended', async ({ api, configMaps }) => {
    const { body } = await api.post(configMaps, { metadata: { generateName: 'run-' } })
    assert.match(body.metadata.name, /^run-[bcdfghjklmnpqrstvwxz2456789]{5}$/)
    assert.equal(body.metadata.generateName, 'run-')
  }),
  check('a name that is taken is 409 AlreadyExists', async ({ api, configMaps }) => {
    await api.post(configMaps, configMap('a'))
    const details = { name: 'a', kind: 'configmaps' }
    assertFailure(await api.post(configMaps, configMap('a')), {
      code: 409,
      reason: 'AlreadyExists',
      message: 'configmaps "a" already exists',
      details,
    })
  }),
  check('a missing or impossible name is 422 with the field', async ({ api, configMaps }) => {
    const missing = await api.post(configMaps, { metadata: {} })
    assertFailure(missing, {
      code: 422,
      reason: 'Invalid',
      message: 'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required',
    })
    assert.deepEqual(missing.body.details.causes[0].reason, 'FieldValueRequired')
    const impossible = await api.post(configMaps, configMap('A_b'))
    assertFailure(impossible, {
      code: 422,
      reason: 'Invalid',
      message: /^ConfigMap "A_b" is invalid: metadata.name: Invalid value: "A_b": a lowercase RFC 1123/,
    })
    assert.deepEqual([impossible.body.details.name, impossible.body.details.kind], ['A_b', 'ConfigMap'])
  }),
  check('an object of another kind, or for another namespace, is 400', async ({ api, configMaps }) => {
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a' } }
    assertFailure(await api.post(configMaps, pod), {
      code: 400,
      reason: 'BadRequest',
      message: /^Pod in version "v1" cannot be handled as a ConfigMap/,
    })
    const message = 'the namespace of the provided object does not match the namespace sent on the request'
    assertFailure(await api.post(configMaps, configMap('a', { metadata: { namespace: 'other' } })), {
      code: 400,
      reason: 'BadRequest',
      message,
    })
  }),
  check('a body that is not JSON is 400, an unknown content type is 415', async ({ api, configMaps }) => {
    assertFailure(await api.post(configMaps, '{"meta'), { code: 400, reason: 'BadRequest' })
    const headers = { 'content-type': 'text/plain' }
    assertFailure(await api.call('POST', configMaps, { body: configMap('a'), headers }), {
      code: 415,
      reason: 'UnsupportedMediaType',
    })
  }),
  check('a resourceVersion on create is refused with 500', async ({ api, configMaps }) => {
    const message = 'resourceVersion should not be set on objects to be created'
    assertFailure(await api.post(configMaps, configMap('a', { metadata: { resourceVersion: '5' } })), {
      code: 500,
      message,
    })
  }),
  check('create in a namespace that does not exist is 404 about the namespace', async ({ api, unique }) => {
    const answer = await api.post(`/api/v1/namespaces/${unique}/configmaps`, configMap('a'))
    assertFailure(answer, {
      code: 404,
      reason: 'NotFound',
      message: `namespaces "${unique}" not found`,
      details: { name: unique, kind: 'namespaces' },
    })
  }),
  check(
    'a namespace is Active, labelled with its name, and has the finalizer of its content',
    async ({ api, namespace }) => {
      const { body } = await api.get(`/api/v1/namespaces/${namespace}`)
      assert.deepEqual(body.metadata.labels, { 'kubernetes.io/metadata.name': namespace })
      assert.deepEqual([body.spec, body.status], [{ finalizers: ['kubernetes'] }, { phase: 'Active' }])
    },
  ),
  check(
    'a namespace that is deleted is Terminating first, and takes no new objects',
    async ({ api, namespace, configMaps }) => {
      const { status, body } = await api.delete(`/api/v1/namespaces/${namespace}`)
      assert.deepEqual([status, body.kind, body.status.phase], [200, 'Namespace', 'Terminating'])
      assert.match(body.metadata.deletionTimestamp, SECONDS)
      const refused = await api.post(configMaps, configMap('a'))
      assertFailure(refused, {
        code: 403,
        reason: 'Forbidden',
        message: `configmaps "a" is forbidden: unable to create new content in namespace ${namespace} because it is being terminated`,
      })
      assert.deepEqual(refused.body.details.causes[0].reason, 'NamespaceTerminating')
    },
  ),
  check('stringData of a Secret is kept as base64 in data', async ({ api, namespace }) => {
    const { body } = await api.post(`/api/v1/namespaces/${namespace}/secrets`, {
      metadata: { name: 'a' },
      stringData: { password: 'swordfish' },
    })
    assert.deepEqual([body.data, body.stringData, body.type], [{ password: 'c3dvcmRmaXNo' }, undefined, 'Opaque'])
  }),
  check('get gives what create gave, and 404 for what is not there', async ({ api, configMaps }) => {
    const created = await api.post(configMaps, configMap('a'))
    assert.deepEqual((await api.get(`${configMaps}/a`)).body, created.body)
    const details = { name: 'b', kind: 'configmaps' }
    assertFailure(await api.get(`${configMaps}/b`), {
      code: 404,
      reason: 'NotFound',
      message: 'configmaps "b" not found',
      details,
    })
  }),
  check('replace keeps uid and creation time and makes a newer version', async ({ api, configMaps }) => {
    const created = (await api.post(configMaps, configMap('a', { data: { k: 'v' } }))).body
    const { status, body } = await api.put(`${configMaps}/a`, configMap('a', { data: { l: 'w' } }))
    assert.equal(status, 200)
    assert.deepEqual(
      [body.metadata.uid, body.metadata.creationTimestamp, body.data],
      [created.metadata.uid, created.metadata.creationTimestamp, { l: 'w' }],
    )
    assert.ok(BigInt(body.metadata.resourceVersion) > BigInt(created.metadata.resourceVersion))
  }),
  check('replace with an old version is 409 Conflict', async ({ api, configMaps }) => {
    const { resourceVersion } = (await api.post(configMaps, configMap('a'))).body.metadata
    await api.patch(`${configMaps}/a`, { data: { k: 'v' } })
    assertFailure(await api.put(`${configMaps}/a`, configMap('a', { metadata: { resourceVersion } })), {
      code: 409,
      reason: 'Conflict',
      message:
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again',
      details: { name: 'a', kind: 'configmaps' },
    })
  }),
  check('replace under another name is 400, with another uid 409, of nothing 404', async ({ api, configMaps }) => {
    await api.post(configMaps, configMap('a'))
    const message = 'the name of the object (b) does not match the name on the URL (a)'
    assertFailure(await api.put(`${configMaps}/a`, configMap('b')), { code: 400, reason: 'BadRequest', message })
    const uid = '00000000-0000-4000-8000-000000000000'
    const conflict = await api.put(`${configMaps}/a`, configMap('a', { metadata: { uid } }))
    assertFailure(conflict, { code: 409, reason: 'Conflict', message: /Precondition failed: UID in precondition/ })
    assertFailure(await api.put(`${configMaps}/c`, configMap('c')), { code: 404, reason: 'NotFound' })
  }),
  check('a write that changes nothing makes no version', async ({ api, configMaps }) => {
    const { body } = await api.post(configMaps, configMap('a', { data: { k: 'v' } }))
    assert.deepEqual((await api.put(`${configMaps}/a`, body)).body, body)
    assert.deepEqual((await api.put(`${configMaps}/a`, configMap('a', { data: { k: 'v' } }))).body, body)
    assert.deepEqual((await api.patch(`${configMaps}/a`, { data: { k: 'v' } })).body, body)
  }),
  check('a merge patch sets members, and null removes them', async ({ api, configMaps }) => {
    await api.post(configMaps, configMap('a', { data: { k: 'v', l: 'w' }, metadata: { labels: { app: 'x' } } }))
    const { body } = await api.patch(`${configMaps}/a`, {
      data: { k: null, m: 'x' },
      metadata: { labels: { app: null } },
    })
    assert.deepEqual([body.data, body.metadata.labels], [{ l: 'w', m: 'x' }, undefined])
  }),
  check('a strategic merge patch merges containers by name', async ({ api, namespace }) => {
    const path = `/apis/apps/v1/namespaces/${namespace}/deployments`
    await api.post(path, deployment('web'))
    const patch = { spec: { template: { spec: { containers: [{ name: 'web', env: [{ name: 'B', value: '2' }] }] } } } }
    const { status, body } = await api.patch(`${path}/web`, patch, 'strategic-merge-patch')
    assert.equal(status, 200)
    const [container] = body.spec.template.spec.containers
    assert.equal(container.image, 'web:1')
    assert.deepEqual(new Set(container.env.map(({ name }: { name: string }) => name)), new Set(['A', 'B']))
  }),
  check('a JSON patch is applied in order, and a failing test stops it with 422', async ({ api, configMaps }) => {
    await api.post(configMaps, configMap('a', { data: { k: 'v' } }))
    const patch = [
      { op: 'test', path: '/data/k', value: 'v' },
      { op: 'add', path: '/data/l', value: 'w' },
      { op: 'remove', path: '/data/k' },
    ]
    assert.deepEqual((await api.patch(`${configMaps}/a`, patch, 'json-patch')).body.data, { l: 'w' })
    assertFailure(await api.patch(`${configMaps}/a`, patch, 'json-patch'), { code: 422, reason: 'Invalid' })
  }),
  check('a patch with an old version is 409, of nothing 404, of an unknown type 415', async ({ api, configMaps }) => {
    await api.post(configMaps, configMap('a'))
    assertFailure(await api.patch(`${configMaps}/a`, { metadata: { resourceVersion: '1' } }), {
      code: 409,
      reason: 'Conflict',
    })
    assertFailure(await api.patch(`${configMaps}/b`, {}), { code: 404, reason: 'NotFound' })
    assertFailure(await api.call('PATCH', `${configMaps}/a`, { body: {} }), {
      code: 415,
      reason: 'UnsupportedMediaType',
    })
    assertFailure(await api.patch(`${configMaps}/a`, '[1'), { code: 400, reason: 'BadRequest' })
  }),
  check('the generation counts changes of the spec, and nothing else', async ({ api, namespace }) => {
    const path = `/apis/apps/v1/namespaces/${namespace}/deployments`
    assert.equal((await api.post(path, deployment('web'))).body.metadata.generation, 1)
    assert.equal((await api.patch(`${path}/web`, { metadata: { labels: { a: 'b' } } })).body.metadata.generation, 1)
    assert.equal((await api.patch(`${path}/web/status`, { status: { replicas: 3 } })).body.metadata.generation, 1)
    assert.equal((await api.patch(`${path}/web`, { spec: { replicas: 2 } })).body.metadata.generation, 2)
  }),
  check(
    'status is written through /status only, and nothing else is written through it',
    async ({ api, namespace }) => {
      const path = `/apis/apps/v1/namespaces/${namespace}/deployments`
      assert.equal(
        (await api.post(path, { ...deployment('web'), status: { replicas: 9 } })).body.status.replicas,
        undefined,
      )
      assert.equal((await api.patch(`${path}/web`, { status: { replicas: 9 } })).body.status.replicas, undefined)
      const { body } = await api.patch(`${path}/web/status`, { spec: { replicas: 7 }, status: { replicas: 9 } })
      assert.deepEqual([body.spec.replicas, body.status.replicas], [1, 9])
      const managers = body.metadata.managedFields.map(
        ({ manager, subresource }: { manager: string; subresource?: string }) => [manager, subresource],
      )
      assert.deepEqual(managers, [
        ['contract', undefined],
        ['contract', 'status'],
      ])
    },
  ),
  check('delete answers Success with the uid', async ({ api, configMaps }) => {
    const { uid } = (await api.post(configMaps, configMap('a'))).body.metadata
    const { status, body } = await api.delete(`${configMaps}/a`)
    const details = { name: 'a', kind: 'configmaps', uid }
    assert.deepEqual(
      [status, body],
      [200, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details }],
    )
    assertFailure(await api.get(`${configMaps}/a`), { code: 404, reason: 'NotFound' })
    assertFailure(await api.delete(`${configMaps}/a`), { code: 404, reason: 'NotFound' })
  }),
  check('delete with a precondition that does not hold is 409', async ({ api, configMaps }) => {
    await api.post(configMaps, configMap('a'))
    const byUid = await api.delete(`${configMaps}/a`, { preconditions: { uid: 'other' } })
    assertFailure(byUid, {
      code: 409,
      reason: 'Conflict',
      message: /the UID in the precondition \(other\) does not match the UID in record/,
    })
    const byVersion = await api.delete(`${configMaps}/a`, { preconditions: { resourceVersion: '1' } })
    assertFailure(byVersion, {
      code: 409,
      reason: 'Conflict',
      message: /the ResourceVersion in the precondition \(1\) does not match/,
    })
  }),
  check('finalizers hold a deleted object until the last is removed', async ({ api, configMaps }) => {
    await api.post(configMaps, configMap('a', { metadata: { finalizers: ['example.com/hold'] } }))
    const { status, body } = await api.delete(`${configMaps}/a`)
    assert.deepEqual([status, body.kind, body.metadata.deletionGracePeriodSeconds], [200, 'ConfigMap', 0])
    assert.match(body.metadata.deletionTimestamp, SECONDS)
    assert.equal((await api.get(`${configMaps}/a`)).body.metadata.resourceVersion, body.metadata.resourceVersion)
    assert.equal((await api.patch(`${configMaps}/a`, { metadata: { finalizers: null } })).status, 200)
    assertFailure(await api.get(`${configMaps}/a`), { code: 404, reason: 'NotFound' })
  }),
  check('deletecollection deletes what the selector matches', async ({ api, configMaps }) => {
    for (const name of ['a', 'b', 'c'])
      await api.post(configMaps, configMap(name, { metadata: { labels: { app: name === 'b' ? 'y' : 'x' } } }))
    const { status, body } = await api.delete(`${configMaps}?labelSelector=app%3Dx`)
    assert.deepEqual([status, body.kind, body.items.length], [200, 'ConfigMapList', 2])
    const left = (await api.get(configMaps)).body.items
    assert.deepEqual(
      left.map(({ metadata }: typeof body) => metadata.name),
      ['b'],
    )
  }),
]
