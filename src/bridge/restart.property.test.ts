/**
 * A stream over many lives: killed at any point, its server's history cut short or replaced by a backup meanwhile, its
 * sinks away, failing, slow or too small, and each with a view of its own; held against what a consumer of each must have
 * in the end, and must never have seen.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { keepLives } from './testing/keep-lives.ts'
import { type Lives, livesWith, type SinkSettings, type Step } from './testing/lives.ts'

/** What must have happened, with each store. */
const expected = {
  ledger: ['replay', 'compare', 'announce', 'kill', 'dooms', 'overflows', 'gaps: expired', 'gaps: restored'],
  nothing: ['announce', 'kill', 'overflows', 'gaps: expired'],
} as const

for (const keeps of ['ledger', 'nothing'] as const) {
  test(`S5 P1 P2 P3 P4 P5 P6 I1-I6 with ${keeps === 'ledger' ? 'a ledger' : 'no memory'} whatever happens between its lives, in the end every copy is the cluster`, async (t) => {
    const seed = Math.floor(Math.random() * 2 ** 31)
    t.diagnostic(`seed ${seed}`)
    const total: Record<string, number> = {}
    await fc.assert(
      fc.asyncProperty(livesWith(keeps), async (lives) => {
        for (const [name, count] of Object.entries(await keepLives(lives))) total[name] = (total[name] ?? 0) + count
      }),
      { numRuns: 80, seed },
    )
    t.diagnostic(JSON.stringify(total))
    for (const name of expected[keeps]) assert.ok((total[name] ?? 0) > 0, `${name} happened`)
  })
}

const plain: SinkSettings = {
  policy: 'coalesce',
  queueEvents: 3,
  latencyMs: 0,
  isRequired: false,
  on: 'all',
  view: 'all',
}
const put = (name: number, tier: 'a' | 'b' | 'c', count: number): Step => ({
  type: 'write',
  name,
  what: 'put',
  tier,
  count,
})
const kill = { type: 'kill', records: 0, writes: 0, restored: 0, forgets: 'nothing' } as const
const stop = { ...kill, type: 'stop' } as const

/** Each has failed once. */
const histories: Readonly<Record<string, Pick<Lives, 'steps' | 'sinks'> & Partial<Lives>>> = {
  'what a list has shown is not ended by what came after a stop': {
    steps: [
      { type: 'pass', ms: 60_000 },
      { ...kill, writes: 1, forgets: 'compact' },
      { type: 'pass', ms: 162 },
      put(5, 'a', 1),
      put(0, 'a', 1),
      { type: 'write', name: 0, what: 'delete', tier: 'a', count: 1 },
      stop,
    ],
    sinks: [plain, { ...plain, queueEvents: 5, latencyMs: 1, isRequired: true }],
    writeMs: 200,
  },
  'without snapshots a catch-up is over when its deletions were settled': {
    steps: [
      { type: 'pass', ms: 60_000 },
      { ...kill, writes: 1 },
      { type: 'down', sink: 2 },
      { ...kill, restored: 5 },
      kill,
    ],
    sinks: [plain, plain, { ...plain, queueEvents: 5, on: 'no snapshots' }],
  },
  'what a killed process has let in leaves, though the list before that did not hold it': {
    steps: [
      { type: 'review', sink: 0, view: 'only a' },
      { ...kill, type: 'doom', writes: 2 },
      put(0, 'a', 7),
      { type: 'pass', ms: 60_000 },
      { ...kill, writes: 4 },
      { ...kill, forgets: 'expire' },
      put(4, 'c', 1),
    ],
    sinks: [plain, plain],
  },
  'two changes in one are told as the newer route asks': {
    steps: [put(0, 'a', 7), put(0, 'b', 1)],
    sinks: [{ ...plain, queueEvents: 10, latencyMs: 40, view: 'a, and b in short' }, plain],
  },
}

for (const [name, history] of Object.entries(histories)) {
  test(`I1 I2 I3 ${name}`, async () => {
    await keepLives({ keeps: 'ledger', writeMs: 0, resync: 'off', ...history })
  })
}
