/** The catalogue of faults, F01 to F64, and which tests produce each of those that are built for: one file for each place. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '../..')
const streams = 'test/e2e/stream-faults.test.ts'
const faults = (name: string) => `test/faults/${name}.test.ts`
const [server, rights, crd, objects, receiver] = [
  faults('server'),
  faults('rights'),
  faults('crd'),
  faults('objects'),
  faults('receiver'),
]
const hostile = 'test/e2e/hostile-objects.test.ts'

const catalogue: Readonly<Record<string, readonly [fault: string, ...files: string[]]>> = {
  F01: ['410 at the start of a watch', streams],
  F02: ['410 in the stream', streams],
  F03: ['410 on page 2 of a list', streams],
  F04: ['compaction every 5 minutes', streams],
  F05: ['429 with Retry-After', streams],
  F06: ['500, 503, refused', streams],
  F07: ['504: a version that is too large', streams],
  F08: ['a half open connection', streams],
  F09: ['an idle connection that is reset', streams],
  F10: ['GOAWAY of HTTP/2', 'test/e2e/outages.test.ts'],
  F11: ['a truncated line', streams],
  F12: ['frames that are repeated', 'src/informer/convergence.test.ts'],
  F13: ['versions that go back: a restored server', server],
  F14: ['a slow watch, a server that forgets', streams],
  F15: ['a rolling restart, three times', server],
  F16: ['a definition that is deleted and created again', crd],
  F17: ['a storage version that moves', crd],
  F18: ['a slow conversion webhook', crd],
  F19: ['a namespace that is deleted', objects],
  F20: ['rights that come and go', rights],
  F21: ['a token that is rotated', rights],
  F22: ['a token that has expired', rights],
  F23: ['a CA that is rotated', rights],
  F24: ['a flood of KubeEvents that expire', objects],
  F25: ['a name that is taken again at once', objects],
  F26: ['names that cannot be resolved for a while', server],
  F31: ['killed for its memory in a snapshot', faults('killed-in-a-snapshot')],
  F32: ['kill -9 anywhere', faults('kill-loop')],
  F39: [
    'a full disk',
    'test/e2e/spool.test.ts',
    'src/delivery/dead-letter-journal.test.ts',
    'src/state/file-store.test.ts',
  ],
  F40: [
    'damage on disk',
    'src/delivery/spool.test.ts',
    'test/e2e/dead-letters.test.ts',
    'src/state/file-store.test.ts',
  ],
  F42: ['a slow sink', receiver],
  F43: ['a sink that answers 5xx', receiver],
  F44: ['a batch that fails in part', faults('partial-failure')],
  F45: ['an event that nobody can take', 'test/e2e/poison.test.ts'],
  F46: ['an event that is refused for its content', 'test/e2e/dead-letters.test.ts'],
  F47: ['a certificate that has expired', faults('certificate')],
  F48: ['a topic that is deleted', faults('kafka')],
  F49: ['a leader of a partition that moves', faults('kafka')],
  F51: ['an acknowledgement that is lost', receiver],
  F52: ['a sink that is away for an hour', faults('outage-hour')],
  F53: ['one sink of three that is down', receiver],
  F54: ['an object of 1.5 MB', hostile],
  F55: ['a nesting of 10,000', hostile],
  F56: ['10,000 labels', hostile],
  F57: ['Unicode, and keys such as __proto__', hostile],
  F58: ['a canary in a Secret', 'test/e2e/canary.test.ts'],
  F59: ['versions above 2^53', 'src/bridge.test.ts'],
}

/** The names of the tests in a file. */
function testsOf(file: string): readonly string[] {
  const text = readFileSync(join(root, file), 'utf8')
  return [...text.matchAll(/\b(?:test|inBothWays)\(\s*([`'])(.*?)\1,/gs)].map(([, , name = '']) => name)
}

const faultsIn = (name: string): readonly string[] => name.match(/\bF\d{2}\b/g) ?? []

test('each fault has a test, with its number in its name, where the catalogue says', () => {
  const missing = Object.entries(catalogue).flatMap(([number, [fault, ...files]]) =>
    files
      .filter((file) => !testsOf(file).some((name) => faultsIn(name).includes(number)))
      .map((file) => `${number}, ${fault}: no test in ${file}`),
  )
  assert.deepEqual(missing, [])
})

test('no test is named after a fault that the catalogue does not have', () => {
  const files = globSync('{src,sinks,test,examples}/**/*.test.ts', { cwd: root })
  const unknown = files.flatMap((file) =>
    testsOf(file).flatMap((name) =>
      faultsIn(name)
        .filter((number) => !catalogue[number])
        .map((number) => [file, number]),
    ),
  )
  assert.deepEqual(unknown, [])
})
