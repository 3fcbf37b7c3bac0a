import assert from 'node:assert/strict'
import { eventually } from '../support/eventually.ts'
import { type Bench, type Check, check } from './check.ts'
import { type ApiClient, assertFailure, type Json, summary } from './client.ts'

const DEFINITIONS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'

interface Served {
  readonly group: string
  /** Where the objects of the check's namespace are. */
  readonly widgets: string
  readonly definition: string
}

/** Defines widgets in a group of the check's own, and waits until they are served. */
async function define(
  { api, unique, namespace }: Bench,
  version: Json = { subresources: { status: {} } },
): Promise<Served> {
  const group = `${unique}.example.com`
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } }
  const names = { plural: 'widgets', singular: 'widget', kind: 'Widget', listKind: 'WidgetList', shortNames: ['wd'] }
  const versions = [{ name: 'v1', served: true, storage: true, schema, ...version }]
  const name = `widgets.${group}`
  const created = await api.post(DEFINITIONS, {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name },
    spec: { group, scope: 'Namespaced', names, versions },
  })
  assert.equal(created.status, 201, created.text)
  const widgets = `/apis/${group}/v1/namespaces/${namespace}/widgets`
  await answers(api, widgets, 200)
  await answers(api, `/apis/${group}/v1`, 200)
  return { group, widgets, definition: `${DEFINITIONS}/${name}` }
}

/** A real server's controllers take a moment to begin or end to serve. */
async function answers(api: ApiClient, path: string, status: number): Promise<void> {
  await eventually(async () => (await api.get(path)).status === status, { what: `GET ${path} answers ${status}` })
}

function widget(group: string, name: string, more: Json = {}): Json {
  return {
    apiVersion: `${group}/v1`,
    kind: 'Widget',
    metadata: { name, ...more.metadata },
    spec: { size: 1 },
    ...more.top,
  }
}

export const customResourceChecks: readonly Check[] = [
  check('a CustomResourceDefinition is established, and its resource appears in discovery', async (bench) => {
    const { group, definition } = await define(bench)
    const { conditions, acceptedNames, storedVersions } = (await bench.api.get(definition)).body.status
    const met = conditions.map(({ type, status }: Json) => `${type} ${status}`)
    assert.deepEqual(
      [met, acceptedNames.kind, storedVersions],
      [['NamesAccepted True', 'Established True'], 'Widget', ['v1']],
    )
    const { resources } = (await bench.api.get(`/apis/${group}/v1`)).body
    const [widgets, status] = resources
    assert.deepEqual(
      [widgets.name, widgets.kind, widgets.singularName, widgets.shortNames, widgets.namespaced],
      ['widgets', 'Widget', 'widget', ['wd'], true],
    )
    assert.equal(status.name, 'widgets/status')
    const listed = async () => (await bench.api.get('/apis')).body.groups.some(({ name }: Json) => name === group)
    await eventually(listed, { what: `/apis lists ${group}` })
  }),
  check(
    'lists of custom resources have items with kind and apiVersion, and an empty continue token at the end',
    async (bench) => {
      const { group, widgets } = await define(bench)
      assert.equal((await bench.api.post(widgets, widget(group, 'a'))).status, 201)
      const { body } = await bench.api.get(widgets)
      assert.deepEqual([body.kind, body.apiVersion, body.metadata.continue], ['WidgetList', `${group}/v1`, ''])
      assert.deepEqual(
        [body.items[0].kind, body.items[0].apiVersion, body.items[0].metadata.name],
        ['Widget', `${group}/v1`, 'a'],
      )
    },
  ),
  check('custom objects are watched like built-in ones', async (bench) => {
    const { api } = bench
    const { group, widgets } = await define(bench)
    const { resourceVersion } = (await api.get(widgets)).body.metadata
    await using watch = await api.watch(`${widgets}?resourceVersion=${resourceVersion}`)
    await api.post(widgets, widget(group, 'a'))
    await api.patch(`${widgets}/a`, { spec: { size: 2 } })
    await api.delete(`${widgets}/a`)
    const frames = await watch.take(3)
    assert.deepEqual(summary(frames), ['ADDED a', 'MODIFIED a', 'DELETED a'])
    assert.deepEqual([frames[1]?.object.spec, frames[1]?.object.metadata.generation], [{ size: 2 }, 2])
  }),
  check('custom objects are listed by WatchList too, with a marker of their kind', async (bench) => {
    const { api } = bench
    const { group, widgets } = await define(bench)
    await api.post(widgets, widget(group, 'a'))
    const query = 'sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true'
    await using watch = await api.watch(`${widgets}?${query}`)
    const [state, marker] = await watch.take(2)
    assert.deepEqual(summary(state ? [state] : []), ['ADDED a'])
    const { kind, apiVersion, metadata } = marker?.object ?? {}
    assert.deepEqual(
      [marker?.type, kind, apiVersion, metadata.annotations],
      ['BOOKMARK', 'Widget', `${group}/v1`, { 'k8s.io/initial-events-end': 'true' }],
    )
  }),
  check('with a status subresource the object and its status are written apart', async (bench) => {
    const { api } = bench
    const { group, widgets } = await define(bench)
    const created = (await api.post(widgets, widget(group, 'a', { top: { status: { ready: true } } }))).body
    assert.deepEqual([created.status, created.metadata.generation], [undefined, 1])
    const reported = (await api.patch(`${widgets}/a/status`, { status: { ready: true }, spec: { size: 9 } })).body
    assert.deepEqual([reported.status, reported.spec, reported.metadata.generation], [{ ready: true }, { size: 1 }, 1])
    const changed = (await api.patch(`${widgets}/a`, { spec: { size: 2 }, status: { ready: false } })).body
    assert.deepEqual([changed.status, changed.metadata.generation], [{ ready: true }, 2])
  }),
  check('without a status subresource status is a member like any other, and /status is 404', async (bench) => {
    const { api } = bench
    const { group, widgets } = await define(bench, {})
    const created = (await api.post(widgets, widget(group, 'a', { top: { status: { ready: true } } }))).body
    assert.deepEqual(created.status, { ready: true })
    assert.equal((await api.patch(`${widgets}/a`, { status: { ready: false } })).body.metadata.generation, 2)
    assert.equal((await api.get(`${widgets}/a/status`)).status, 404)
  }),
  check('deletion that a finalizer holds counts up the generation of a custom object', async (bench) => {
    const { api } = bench
    const { group, widgets } = await define(bench)
    await api.post(widgets, widget(group, 'a', { metadata: { finalizers: ['example.com/hold'] } }))
    const { metadata } = (await api.delete(`${widgets}/a`)).body
    assert.deepEqual([metadata.generation, metadata.deletionGracePeriodSeconds], [2, 0])
  }),
  check('a strategic merge patch of a custom object is 415', async (bench) => {
    const { group, widgets } = await define(bench)
    await bench.api.post(widgets, widget(group, 'a'))
    assertFailure(await bench.api.patch(`${widgets}/a`, {}, 'strategic-merge-patch'), {
      code: 415,
      reason: 'UnsupportedMediaType',
    })
  }),
  check('errors about custom objects name resource and group', async (bench) => {
    const { group, widgets } = await define(bench)
    assertFailure(await bench.api.get(`${widgets}/none`), {
      code: 404,
      reason: 'NotFound',
      message: `widgets.${group} "none" not found`,
      details: { name: 'none', group, kind: 'widgets' },
    })
  }),
  check('deleting the definition deletes the objects, ends the watch and stops serving', async (bench) => {
    const { api } = bench
    const { group, widgets, definition } = await define(bench)
    const { resourceVersion } = (await api.post(widgets, widget(group, 'a'))).body.metadata
    await using watch = await api.watch(`${widgets}?resourceVersion=${resourceVersion}`)
    assert.equal((await api.delete(definition)).status, 200)
    assert.deepEqual(summary([await watch.next()]), ['DELETED a'])
    await answers(api, widgets, 404)
    await answers(api, definition, 404)
    assertFailure(await api.get(definition), { code: 404, reason: 'NotFound' })
    assert.deepEqual(await watch.rest(), [])
  }),
]
