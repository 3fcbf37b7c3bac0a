/** docs/sinks/eventbridge.md: the event that it shows is one, and passes the patterns that it shows. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { assertValidAttributes, type CloudEventAttributes } from '../../src/events/attributes.ts'
import { type RuleEvent, startMoto } from '../../test/testbed/moto.ts'
import { toEntry } from './entry.ts'

const document = readFileSync(new URL('../../docs/sinks/eventbridge.md', import.meta.url), 'utf8')
const blocks = [...document.matchAll(/^```json\n([\s\S]*?)^```/gm)].map(([, text = '']): object => JSON.parse(text))
const shown = blocks.find((block): block is RuleEvent => 'version' in block && 'detail' in block)
const patterns = blocks.filter((block) => !('version' in block) && !('Version' in block))

test('the event that the document shows is what a rule sees, and it passes each pattern that it shows', async () => {
  assert.ok(shown && patterns.length >= 4)
  const { data, ...attributes } = shown.detail
  const given = attributes as CloudEventAttributes
  assertValidAttributes(given)
  const key = { key: '', stream: '', kind: 'change', dataBytes: 0 } as const
  const entry = toEntry({ ...key, attributes: given, data: JSON.stringify(data) }, { bus: 'k8s', source: 'ce' })

  await using moto = await startMoto()
  await moto.createBus('k8s')
  const queues = await Promise.all(
    patterns.map((pattern, index) => moto.createRule({ bus: 'k8s', name: `pattern-${index}`, pattern })),
  )
  await moto.putEvents([{ ...entry, Time: Date.parse(shown.time) / 1000 }])
  for (const [index, queue] of queues.entries()) {
    const [seen] = await queue.events()
    assert.ok(seen, `the event does not pass ${JSON.stringify(patterns[index])}`)
    // moto leaves out the account
    assert.deepEqual({ ...seen, id: shown.id, account: shown.account }, shown)
  }
})
