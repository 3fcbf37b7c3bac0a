/** For tests: histories that have failed, or would if a rule were broken. */
import type { Lives, SinkSettings, Step } from './lives.ts'

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
const settled: Step = { type: 'pass', ms: 60_000 }
/** A pass so short that no bookmark comes. */
const noted: Step = { type: 'pass', ms: 1_000 }
const stop = { ...kill, type: 'stop' } as const

const histories = {
  'what a list has shown is not ended by what came after a stop': {
    steps: [
      settled,
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
    steps: [settled, { ...kill, writes: 1 }, { type: 'down', sink: 2 }, { ...kill, restored: 5 }, noted, kill],
    sinks: [plain, plain, { ...plain, queueEvents: 5, on: 'no snapshots' }],
  },
  'what a killed process has let in leaves, though the list before that did not hold it': {
    steps: [
      { type: 'review', sink: 0, view: 'only a' },
      { ...kill, type: 'doom', writes: 2 },
      put(0, 'a', 7),
      settled,
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
  'what is owed is known after a crash, though what was counted as told for it is too': {
    steps: [
      settled,
      { type: 'down', sink: 0 },
      put(0, 'a', 5),
      { ...kill, type: 'doom', records: 5, forgets: 'compact' },
      { type: 'pass', ms: 3_000 },
    ],
    sinks: [
      { ...plain, isRequired: true },
      { ...plain, isRequired: true, queueEvents: 30 },
    ],
  },
  'that the server was restored is told after a crash': {
    steps: [settled, put(0, 'a', 5), { type: 'down', sink: 0 }, { type: 'restore', versions: 3 }, kill],
    sinks: [plain, plain],
  },
  'that the server was restored is told though the queue has overflowed since': {
    steps: [
      settled,
      put(0, 'a', 5),
      { type: 'down', sink: 0 },
      { type: 'restore', versions: 4 },
      put(2, 'b', 1),
      put(0, 'c', 5),
      noted,
      kill,
    ],
    sinks: [plain, plain],
  },
  'what a sink has settled is not told again where another one is behind': {
    steps: [settled, { type: 'down', sink: 0 }, put(0, 'a', 3), noted, kill],
    sinks: [
      { ...plain, isRequired: true, queueEvents: 30 },
      { ...plain, isRequired: true, queueEvents: 30 },
    ],
  },
  'of what a list has shown nothing is settled before all of it is': {
    steps: [
      settled,
      { type: 'fail', sink: 0, name: 1, times: 9 },
      { type: 'relist', how: 'expire', writes: [{ name: 0, what: 'put', tier: 'a', count: 5 }] },
      noted,
      noted,
      noted,
      kill,
    ],
    sinks: [{ ...plain, queueEvents: 30 }, plain],
  },
  'a server that was restored to where the stream stands is another one': {
    steps: [
      put(0, 'a', 1),
      { ...stop, writes: 1, forgets: 'expire' },
      put(0, 'a', 2),
      { type: 'restore', versions: 4 },
    ],
    sinks: [plain, plain],
  },
  'a server that was restored before the first list of a stream with another definition is noticed': {
    steps: [{ type: 'redefine' }, settled, kill, { type: 'restore', versions: 2 }],
    sinks: [plain, plain],
    writeMs: 200,
  },
  'a server that was restored before the first list of a stream that is owed to all is noticed': {
    steps: [{ type: 'pass', ms: 700 }, kill, { type: 'restore', versions: 1 }, { ...kill, writes: 1 }],
    sinks: [plain, plain],
    writeMs: 200,
  },
  'a server that was restored after it was asked where it is, to what is noted, is noticed': {
    steps: [
      settled,
      { ...kill, writes: 6, forgets: 'compact' },
      { type: 'pass', ms: 700 },
      put(0, 'a', 3),
      kill,
      { type: 'restore', versions: 4 },
    ],
    sinks: [plain, plain],
    writeMs: 200,
  },
  'what a stream owes that begins anew in its process stays noted, though the catch-up before it has just ended': {
    steps: [
      { type: 'pass', ms: 300 },
      { type: 'pass', ms: 4_200 },
      ...Array.from({ length: 12 }, () => put(1, 'a', 1)),
      { type: 'move' },
      { type: 'pass', ms: 2_100 },
      { type: 'down', sink: 0 },
      put(0, 'a', 7),
      put(0, 'a', 7),
      put(0, 'a', 7),
      { type: 'pass', ms: 20_000 },
      { ...kill, forgets: 'compact' },
      settled,
    ],
    sinks: [
      { ...plain, queueEvents: 6, latencyMs: 1_200, isRequired: true },
      { ...plain, policy: 'block', queueEvents: 80, latencyMs: 270, isRequired: true },
    ],
    writeMs: 200,
  },
  'another view is noted with what it makes its sink owed, or not at all': {
    steps: [{ type: 'review', sink: 0, view: 'only a' }, settled, kill, { ...kill, records: 1 }],
    sinks: [plain, plain],
    writeMs: 200,
  },
} as const satisfies Readonly<Record<string, Pick<Lives, 'steps' | 'sinks'> & Partial<Lives>>>

/** Those by their names. */
export const knownLives: Readonly<Record<string, Lives>> = Object.fromEntries(
  Object.entries(histories).map(([name, history]) => [
    name,
    { keeps: 'ledger', writeMs: 0, resync: 'off', ...history } as const,
  ]),
)
