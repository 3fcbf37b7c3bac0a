/** That lives at random would notice if a rule were broken. All of them, and longer: `npm run prove -- mutants`. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mutants } from './testing/mutants.ts'
import { MutationBench, mutated, sourceOf } from './testing/mutation.ts'

test('S5 every rule that is broken to see whether lives at random notice still stands where it is looked for', async () => {
  for (const mutant of mutants) assert.notEqual(mutated(mutant, await sourceOf(mutant)), '')
})

test('S5 lives at random notice that an object is told of before it is noted as held', async (t) => {
  const [first] = mutants
  assert.ok(first)
  await using bench = await MutationBench.open()
  const verdict = await bench.run(first, { seed: 2, histories: 50 })
  t.diagnostic(JSON.stringify(verdict))
  assert.equal(verdict.type, 'caught', `without "${first.without}" nobody notices anything`)
  assert.match(verdict.reason, /^I[1-6]: /)
})
