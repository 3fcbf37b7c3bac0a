/** The program that judges logs of events, judged: random histories, and one that was tampered with. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type History, randomHistory } from '../../src/events/random-history.ts'
import type { ReceivedEvent } from '../testbed/receiver.ts'
import { assertCopied } from './support/reference-copy.ts'

const steps = fc.array(fc.nat({ max: 9_999 }), { minLength: 20, maxLength: 100, size: 'max' })

const received = ({ sent }: History) => sent.map(({ attributes, data }): ReceivedEvent => ({ ...attributes, data }))
const truthOf = ({ truth }: History) => new Map([...truth].map(([uid, version]) => [uid, `${version}`] as const))

test('I1 two independent reducers make the same of random histories, also across restored servers', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (numbers) => {
      const history = randomHistory(numbers, { restores: true })
      await assertCopied(received(history), truthOf(history))
    }),
    { numRuns: 20 },
  )
})

test('a log without anything that shows one version is found to differ', async () => {
  const history = randomHistory([0, 0, 9, 3])
  const lost = received(history).filter(({ id }) => !id.startsWith('n1:13'))
  assert.notEqual(lost.length, history.sent.length)
  await assert.rejects(assertCopied(lost, truthOf(history)), assert.AssertionError)
})
