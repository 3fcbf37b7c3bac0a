/** The headline cases, shortened: `npm run prove -- headlines` plays them at length. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { headlines } from './support/headlines.ts'

const seed = Math.floor(Math.random() * 1e6)

async function play(t: TestContext, name: string): Promise<void> {
  const headline = headlines[name]
  assert.ok(headline, name)
  t.diagnostic(JSON.stringify({ seed, ...(await headline({ seed, operations: 150, awayMs: 0 })) }))
}

test('P1 P3 P4 a bridge that was away tells every version, each with the one before, as if it had never been', (t) =>
  play(t, 'bridge-away'))

test('P3 P5 F01 where the history is gone, a gap, then one event for each object that differs, and none for others', (t) =>
  play(t, 'compacted-away'))

test('P3 F02 deletions that no watch has shown are all told after a relist', (t) => play(t, 'forced-relist'))

test('P3 every object of a cluster that was emptied meanwhile is told to be gone', (t) => play(t, 'emptied-cluster'))

test('P6 F13 a server restored from a backup: a gap before all else, then what it has, and what it has not', (t) =>
  play(t, 'restored-server'))

test('P6 F13 so it is where the bridge was away', (t) => play(t, 'restored-while-away'))
