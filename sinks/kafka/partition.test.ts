import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DeliveryError, type DeliveryErrorCode } from '../../src/delivery/sink.ts'
import { type Placed, sendInOrder } from './partition.ts'

/** Events of 10 bytes: `a1`, `b2` … are the key and the index. */
function placed(...names: readonly string[]): readonly (Placed & { name: string })[] {
  return names.map((name, index) => ({ index, key: name.slice(0, 1), bytes: 10, name }))
}

/** A partition that refuses a batch with one of `refused` in it. */
function partition(refused: Readonly<Record<string, DeliveryErrorCode>> = {}) {
  const sent: string[] = []
  const accepted: string[] = []
  return {
    sent,
    accepted,
    tooLarge: 0,
    async send(events: readonly { name: string }[]) {
      const names = events.map(({ name }) => name)
      sent.push(names.join(' '))
      for (const name of names) {
        const code = refused[name]
        if (code) throw new DeliveryError(code, `${name} is refused`)
      }
      accepted.push(...names)
    },
  }
}

function codes(failures: ReadonlyMap<number, DeliveryError>): Record<string, string> {
  return Object.fromEntries(Array.from(failures, ([index, { code }]) => [index, code]))
}

const options = { maxBytes: 20, onTooLarge: () => undefined }

test('events are sent in order, no more at once than the bytes allow; a larger one goes alone', async () => {
  const { sent, send } = partition()
  const [a0, ...rest] = placed('a0', 'b1', 'c2', 'd3')
  assert.ok(a0)
  const failures = await sendInOrder([{ ...a0, bytes: 30 }, ...rest], { ...options, send })
  assert.deepEqual(sent, ['a0', 'b1 c2', 'd3'])
  assert.deepEqual(failures, new Map())
})

test('no more than 500 are sent at once', async () => {
  const sizes: number[] = []
  const events = placed(...Array.from({ length: 1_201 }, (_, n) => `a${n}`))
  await sendInOrder(events, {
    ...options,
    maxBytes: 1_000_000,
    send: async (part: readonly Placed[]) => void sizes.push(part.length),
  })
  assert.deepEqual(sizes, [500, 500, 201])
})

for (const code of ['unavailable', 'unauthorized', 'timeout'] as const) {
  test(`once a send is ${code} nothing more is sent, and what was accepted before stays so`, async () => {
    const { sent, send } = partition({ c2: code })
    const failures = await sendInOrder(placed('a0', 'b1', 'c2', 'd3', 'e4'), { ...options, send })
    assert.deepEqual(sent, ['a0 b1', 'c2 d3'])
    assert.deepEqual(codes(failures), { 2: code, 3: code, 4: code })
  })
}

test('of a batch that is refused the event at fault is found; all others are sent, but none of its key behind it', async () => {
  const { accepted, send } = partition({ b2: 'rejected' })
  const events = placed('a0', 'b1', 'b2', 'c3', 'b4', 'a5', 'b6')
  const failures = await sendInOrder(events, { ...options, maxBytes: 50, send })
  assert.deepEqual(accepted, ['a0', 'b1', 'c3', 'a5'])
  assert.deepEqual(codes(failures), { 2: 'rejected', 4: 'failed', 6: 'failed' })
})

test('a batch of several that is too large is told, one event is not', async () => {
  const { send } = partition({ b1: 'too-large' })
  let told = 0
  const failures = await sendInOrder(placed('a0', 'b1'), { ...options, send, onTooLarge: () => told++ })
  assert.deepEqual(codes(failures), { 1: 'too-large' })
  assert.equal(told, 1)
})

test('P2 whatever fails, an event that is accepted stands behind no failed one of its key', async () => {
  const names = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 30 })
  const failing = fc.dictionary(
    fc.integer({ min: 0, max: 29 }).map(String),
    fc.constantFrom<DeliveryErrorCode>('rejected', 'too-large', 'failed', 'unavailable'),
  )
  await fc.assert(
    fc.asyncProperty(names, failing, fc.integer({ min: 1, max: 100 }), async (keys, refused, maxBytes) => {
      const events = keys.map((key, index) => ({ index, key, bytes: 10, name: `${index}` }))
      const { accepted, send } = partition(refused)
      const failures = await sendInOrder(events, { ...options, maxBytes, send })
      assert.deepEqual(
        accepted.map(Number),
        events.map(({ index }) => index).filter((index) => !failures.has(index)),
      )
      for (const { index, key } of events) {
        if (!failures.has(index)) continue
        for (const later of events.slice(index)) if (later.key === key) assert.ok(failures.has(later.index))
      }
    }),
  )
})
