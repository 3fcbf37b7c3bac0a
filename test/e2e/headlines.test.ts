/** The headline cases, shortened: `npm run prove -- headlines` plays them at length. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Headline, headlines } from './support/headlines.ts'

const seed = Math.floor(Math.random() * 1e6)

const sentences: Readonly<Record<string, string>> = {
  'bridge-away':
    'P1 P3 P4 a bridge that was away tells every version, each with the one before, as if it had never been',
  'server-restarted':
    'P5 a server that was restarted meanwhile, with its history, costs versions in between and no difference',
  'compacted-away':
    'P3 P5 F01 where the history is gone, a gap, then one event for each object that differs, and none for others',
  'forced-relist': 'P3 F02 deletions that no watch has shown are all told after a relist',
  'emptied-cluster': 'P3 every object of a cluster that was emptied meanwhile is told to be gone',
  'restored-server':
    'P6 F13 a server restored from a backup: a gap before all else, then what it has, and what it has not',
  'restored-while-away': 'P6 F13 so it is where the bridge was away',
}

for (const [name, sentence] of Object.entries(sentences)) {
  test(sentence, async (t) => {
    const play: Headline | undefined = headlines[name]
    assert.ok(play)
    t.diagnostic(JSON.stringify({ seed, ...(await play({ seed, operations: 150, awayMs: 0 })) }))
  })
}
