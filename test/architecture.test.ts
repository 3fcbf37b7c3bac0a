/** Who may import whom. The table is the one in ARCHITECTURE.md; an import that it does not allow fails here. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { test } from 'node:test'

/** Rooms of src/ and what each may import. Everybody may import `lib` and the files of `free`. */
const mayImport: Record<string, readonly string[]> = {
  lib: [],
  kube: [],
  journal: [],
  redact: [],
  telemetry: [],
  events: [],
  simulator: [],
  informer: ['kube'],
  state: ['journal'],
  reconcile: ['informer', 'state'],
  route: ['informer', 'reconcile'],
  translate: ['events', 'route', 'reconcile'],
  delivery: ['events', 'journal'],
  admin: ['telemetry'],
  config: [],
  sinks: [],
  cli: ['bridge', 'admin', 'config', 'events', 'kube', 'simulator', 'telemetry'],
  main: ['cli', 'telemetry'],
}
/** Only their types may be imported: nothing of them runs there. */
const typesOnly: Record<string, readonly string[]> = { route: ['informer', 'reconcile'], translate: ['reconcile'] }
/** What objects are and what is noted beside them: every room speaks of objects. */
const free = ['src/kube/object.ts', 'src/kube/taken.ts', 'package.json']
/** What a room shows to others than those above. */
const doors: Record<string, readonly string[]> = {
  sinks: ['src/delivery/sink.ts'],
  config: [
    'src/delivery/options.ts',
    'src/delivery/dead-letter-options.ts',
    'src/state/options.ts',
    'src/delivery/sink.ts',
    'sinks/index.ts',
    'src/route/view.ts',
    'src/route/expression.ts',
    'src/redact/path.ts',
    'src/redact/redact.ts',
    'src/admin/options.ts',
    'src/telemetry/options.ts',
  ],
}

interface Import {
  readonly from: string
  readonly to: string
  readonly typeOnly: boolean
}

const all = globSync(['{src,sinks,scripts,test,examples,bench}/**/*.ts'])
const importsOf = new Map(all.map((file) => [file, readImports(file)]))
/** What runs in the product, or can be imported from it. Other files of src/ and sinks/ are there for tests. */
const files = reachedFrom(['src/main.ts', 'src/events/index.ts', 'src/informer/index.ts', 'src/delivery/sink.ts'])
const imports = files.flatMap((file) => importsOf.get(file) ?? [])

function readImports(file: string): readonly Import[] {
  const text = readFileSync(file, 'utf8')
  const statements = text.matchAll(
    /^\s*(?:import|export)\s(?<what>[^'"]*?)from\s+'(?<path>[^']+)'|import\('(?<lazy>[^']+)'\)/gm,
  )
  return [...statements].flatMap(({ groups }) => {
    const path = groups?.path ?? groups?.lazy ?? ''
    if (!path.startsWith('.')) return []
    return [{ from: file, to: normalize(join(dirname(file), path)), typeOnly: /^type\s/.test(groups?.what ?? '') }]
  })
}

function reachedFrom(entries: readonly string[]): readonly string[] {
  const reached = new Set(entries)
  for (const file of reached) for (const { to } of importsOf.get(file) ?? []) if (to.endsWith('.ts')) reached.add(to)
  return [...reached]
}

/** `src/kube/x.ts` is in room kube, `sinks/webhook/x.ts` in sinks, `src/bridge.ts` is a room of its own. */
function roomOf(file: string): string {
  const [top = '', second = ''] = file.split('/')
  return top === 'sinks' ? 'sinks' : second.replace(/\.ts$/, '')
}

test('the check sees the imports', () => {
  assert.ok(imports.length > 50, `only ${imports.length} imports found`)
})

test('every file is reached by the product, a test or a script', () => {
  const entries = all.filter(
    (file) => file.endsWith('.test.ts') || /^(?:scripts|bench|examples|test\/proofs)\//.test(file),
  )
  const reached = new Set([...files, ...reachedFrom(entries)])
  // started as a process of its own, or loaded into one
  const started = ['test/testbed/guard.ts', 'test/e2e/support/sync-drill.ts', 'test/faults/support/names.ts']
  for (const file of started) reached.add(file)
  assert.deepEqual(
    all.filter((file) => !reached.has(file)),
    [],
  )
})

test('every import is one that the table allows', () => {
  const wrong = imports.filter(({ from, to }) => {
    const room = roomOf(from)
    const target = roomOf(to)
    if (room === target || target === 'lib' || free.includes(to) || room === 'bridge') return false
    return !(mayImport[room] ?? []).includes(target) && !(doors[room] ?? []).includes(to)
  })
  assert.deepEqual(wrong, [])
})

test('where only types are allowed nothing else is imported', () => {
  const wrong = imports.filter(({ from, to, typeOnly }) => !typeOnly && typesOnly[roomOf(from)]?.includes(roomOf(to)))
  assert.deepEqual(wrong, [])
})

test('a sink imports nothing of another sink', () => {
  const wrong = imports.filter(
    ({ from, to }) =>
      from.split('/').length > 2 && roomOf(from) === 'sinks' && roomOf(to) === 'sinks' && dirname(from) !== dirname(to),
  )
  assert.deepEqual(wrong, [])
})

test('only main touches the process', () => {
  const wrong = files.filter((file) => file !== 'src/main.ts' && /(?<![\w.'"#/-])process\./.test(code(file)))
  assert.deepEqual(wrong, [])
})

test('what translates and routes reads neither clock nor chance', () => {
  const wrong = files.filter(
    (file) =>
      /^src\/(?:redact|route|translate)\//.test(file) &&
      /\bDate\b|Math\.random|randomUUID|randomBytes/.test(code(file)),
  )
  assert.deepEqual(wrong, [])
})

function code(file: string): string {
  return readFileSync(file, 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
}
