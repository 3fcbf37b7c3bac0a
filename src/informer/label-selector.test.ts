import assert from 'node:assert/strict'
import { test } from 'node:test'
import { everything, parseLabelSelector } from './label-selector.ts'
import { pod } from './test-kit.ts'

const objects = {
  none: pod('none', 1),
  web: pod('web', 2, { labels: { app: 'web', tier: 'front' } }),
  db: pod('db', 3, { labels: { app: 'db', tier: 'back', 'example.com/owner': 'ops' } }),
  empty: pod('empty', 4, { labels: { app: '', in: 'x' } }),
}

const selected: readonly (readonly [string, string])[] = [
  ['', 'none web db empty'],
  ['  ', 'none web db empty'],
  ['app', 'web db empty'],
  ['!app', 'none'],
  ['! app', 'none'],
  ['app=web', 'web'],
  ['app==web', 'web'],
  ['app = web , tier = front', 'web'],
  ['app=web,tier=back', ''],
  ['app!=web', 'none db empty'],
  ['app in (web,db)', 'web db'],
  ['app in ( web , db ),tier', 'web db'],
  ['app notin (web)', 'none db empty'],
  ['app notin (web,db),app', 'empty'],
  ['app=', 'empty'],
  ['app in (,web)', 'web empty'],
  ['example.com/owner=ops', 'db'],
  ['in', 'empty'],
  ['in=x', 'empty'],
  ['in in (x)', 'empty'],
  ['toString', ''],
  ['toString!=x', 'none web db empty'],
]

for (const [selector, expected] of selected) {
  test(`selector ${JSON.stringify(selector)} matches ${expected || 'nothing'}`, () => {
    const matches = parseLabelSelector(selector)
    const names = Object.entries(objects).filter(([, object]) => matches(object))
    assert.equal(names.map(([name]) => name).join(' '), expected)
  })
}

test('the empty selector is everything(), which looks at nothing', () => {
  assert.equal(parseLabelSelector(''), everything())
})

const refused: readonly (readonly [string, string])[] = [
  ['app=web,', 'label selector "app=web,", column 9: the end instead of a label key'],
  ['app in web', 'label selector "app in web", column 8: "web" instead of "("'],
  ['app in (web', 'label selector "app in (web", column 12: the end instead of "," or ")"'],
  ['app web', 'label selector "app web", column 5: "web" instead of "," or the end'],
  ['app=a/b', 'label selector "app=a/b", column 5: "a/b" instead of a label value'],
  ['=web', 'label selector "=web", column 1: "=" instead of a label key'],
  ['app>1', 'label selector "app>1", column 4: a character that belongs to no selector'],
  ['a/b/c', 'label selector "a/b/c", column 1: "a/b/c" instead of a label key'],
]

for (const [selector, message] of refused) {
  test(`selector ${JSON.stringify(selector)} is refused, with its place`, () => {
    assert.throws(() => parseLabelSelector(selector), { name: 'SyntaxError', message })
  })
}
