import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allOn, type Route, viewsOf, wholeObject } from './view.ts'

const route = (name: string, to: string[], from?: string[]): Route => ({
  name,
  to,
  ...(from && { from }),
  on: ['deleted'],
  payload: { shape: 'reference', previous: false },
})

test('without routes every sink gets everything', () => {
  const everything = { payload: wholeObject, on: new Set(allOn) }
  assert.deepEqual(viewsOf('pods', [], ['a', 'b']), [
    { sink: 'a', ...everything },
    { sink: 'b', ...everything },
  ])
})

test('a sink that no route leads to gets nothing once there is a route', () => {
  assert.deepEqual(
    viewsOf('pods', [route('r', ['a'])], ['a', 'b']).map((view) => view.sink),
    ['a'],
  )
})

test('the first route from the source to the sink shapes everything, there is no fall-through', () => {
  const first = route('first', ['a'], ['pods'])
  const second: Route = { name: 'second', to: ['a'], on: allOn, payload: wholeObject }
  assert.deepEqual(viewsOf('pods', [first, second], ['a']), [
    { sink: 'a', payload: first.payload, on: new Set(['deleted']) },
  ])
  assert.deepEqual(viewsOf('nodes', [first, second], ['a']), [{ sink: 'a', payload: wholeObject, on: new Set(allOn) }])
})
