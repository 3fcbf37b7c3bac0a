import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Lists } from './references.ts'
import type { RouteConfig } from './route.ts'
import { routeWarnings } from './route-warnings.ts'

const all = ['added', 'updated', 'deleted', 'snapshot', 'gap'] as const

type Part = Pick<RouteConfig, 'name'> & Partial<Omit<RouteConfig, 'from'>> & { readonly from?: readonly string[] }

function warned(...routes: readonly Part[]): readonly string[] {
  const source = (name: string) => ({
    name,
    resources: ['pods'],
    allowSecrets: false,
    resync: { every: '1h', snapshot: 'delta', verify: false } as const,
  })
  const lists: Lists = {
    sources: ['a', 'b'].map((name, index) => ({ index, value: source(name) })),
    routes: routes.map((route, index) => ({
      index,
      value: { to: ['x'], on: all, payload: { shape: 'object', previous: false }, from: ['a', 'b'], ...route },
    })),
    names: { sources: ['a', 'b'], routes: routes.map(({ name }) => name), sinks: ['x', 'y'] },
  }
  return routeWarnings(lists).map(({ path, message }) => `${path.join('.')}: ${message}`)
}

test('a route behind one that lets everything through is pointed out', () => {
  assert.deepEqual(warned({ name: 'r' }, { name: 's', where: 'true' }), [
    'routes.1: nothing takes this route: before it, r lets everything through',
  ])
  assert.deepEqual(warned({ name: 'r', from: ['a'] }, { name: 's', from: ['b'] }, { name: 't' }), [
    'routes.2: nothing takes this route: before it, r, s lets everything through',
  ])
})

test('a route whose turn comes for some source, sink or object is not', () => {
  assert.deepEqual(warned({ name: 'r', where: 'true' }, { name: 's' }), [])
  assert.deepEqual(warned({ name: 'r', from: ['a'] }, { name: 's' }), [])
  assert.deepEqual(warned({ name: 'r' }, { name: 's', to: ['x', 'y'] }), [])
})

test('routes to one sink of which only some send snapshots are pointed out, once each', () => {
  const on = ['added', 'deleted'] as const
  assert.deepEqual(warned({ name: 'r', where: 'true' }, { name: 's', on }), [
    'routes.1.on: by route r sink x gets snapshots of source a without what takes this route, so that its consumer takes that for gone: give both snapshot, or neither',
  ])
  assert.deepEqual(warned({ name: 'r', where: 'true', on }, { name: 's', on }), [])
  assert.deepEqual(warned({ name: 'r', from: ['a'], on }, { name: 's', from: ['b'] }), [])
  assert.deepEqual(warned({ name: 'r', to: ['y'], on }, { name: 's' }), [])
})
