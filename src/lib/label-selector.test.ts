import assert from 'node:assert/strict'
import { test } from 'node:test'
import { everything, parseLabelSelector } from './label-selector.ts'

const objects: Record<string, { metadata: { labels?: Record<string, string> } }> = {
  none: { metadata: {} },
  web: { metadata: { labels: { app: 'web', tier: 'front', size: '9' } } },
  db: { metadata: { labels: { app: 'db', tier: 'back', 'example.com/owner': 'ops', size: '9007199254740993' } } },
  empty: { metadata: { labels: { app: '', in: 'x', size: 'x9' } } },
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
  ['size > 8', 'web db'],
  ['size>9', 'db'],
  ['size<10', 'web'],
  ['size < 010,app=web', 'web'],
  ['size > 9007199254740992', 'db'],
  ['size < 9007199254740993', 'web'],
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
  ['app>x', 'label selector "app>x", column 5: "x" instead of an integer'],
  [
    'app>99999999999999999999',
    'label selector "app>99999999999999999999", column 5: "99999999999999999999" instead of an integer',
  ],
  ['app<', 'label selector "app<", column 5: the end instead of an integer'],
  ['app;1', 'label selector "app;1", column 4: a character that belongs to no selector'],
  ['a/b/c', 'label selector "a/b/c", column 1: "a/b/c" instead of a label key'],
]

for (const [selector, message] of refused) {
  test(`selector ${JSON.stringify(selector)} is refused, with its place`, () => {
    assert.throws(() => parseLabelSelector(selector), { name: 'SyntaxError', message })
  })
}
