import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type FieldRequirement, parseFieldSelector } from './field-selector.ts'

test('a field selector is terms of field, operator and value', () => {
  const cases: [string, readonly FieldRequirement[]][] = [
    ['spec.nodeName=node-1', [{ type: 'equals', field: 'spec.nodeName', value: 'node-1' }]],
    ['metadata.name==web', [{ type: 'equals', field: 'metadata.name', value: 'web' }]],
    [
      'status.phase!=Running,spec.nodeName=',
      [
        { type: 'differs', field: 'status.phase', value: 'Running' },
        { type: 'equals', field: 'spec.nodeName', value: '' },
      ],
    ],
    ['reason=a\\,b\\=c\\\\', [{ type: 'equals', field: 'reason', value: 'a,b=c\\' }]],
  ]
  for (const [text, expected] of cases) assert.deepEqual(parseFieldSelector(text), expected, text)
})

test('what is no field selector is refused with the term that is wrong', () => {
  const cases: [string, string][] = [
    ['', 'an empty field selector: leave the key out to select all'],
    ['a', '"a" is not field=value, field==value or field!=value'],
    ['a=b,', '"" is not field=value, field==value or field!=value'],
    ['a=b=c', '"a=b=c" is not field=value, field==value or field!=value'],
    ['a in (b)', '"a in (b)" is not field=value, field==value or field!=value'],
    ['a=\\b', '"a=\\\\b" is not field=value, field==value or field!=value'],
    ['=b', '"=b" is not field=value, field==value or field!=value'],
  ]
  for (const [text, message] of cases) {
    assert.throws(() => parseFieldSelector(text), { name: 'RangeError', message }, text)
  }
})
