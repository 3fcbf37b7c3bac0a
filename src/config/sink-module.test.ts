/** Sinks that are not part of the product, as a configuration names them. The files are real, and imported. */
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { sink as stdout } from '../../sinks/stdout/index.ts'
import { loadConfig } from './load.ts'
import { ConfigError } from './problem.ts'

const root = await mkdtemp(join(tmpdir(), 'deltawire-sinks-'))
after(() => rm(root, { recursive: true }))
let count = 0

/** A definition, some of its members replaced by other code. */
function definition(changed: Readonly<Record<string, string>> = {}): string {
  const members = {
    type: `'mine'`,
    schema: `{ type: 'object', properties: { to: { type: 'string', description: 'Where to.' } } }`,
    limits: '() => limits',
    create: '() => made',
    ...changed,
  }
  return `
    import { defineSink } from 'deltawire/sink'
    const limits = { maxEventBytes: 10, maxBatchEvents: 1, maxBatchBytes: 10, sizeOf: () => 1, sameKeyInBatch: false, concurrency: 1 }
    const made = { connect: async () => {}, deliver: async () => [], async [Symbol.asyncDispose]() {} }
    export const sink = defineSink({ ${Object.entries(members).map(([name, code]) => `${name}: ${code}`)} })`
}

/** Loads a configuration with one sink of this type, `files` beside it. */
async function load(type: string, files: Readonly<Record<string, string>>, keys = '') {
  const folder = join(root, `${count++}`)
  for (const [name, text] of Object.entries({
    ...files,
    'c.yaml': `apiVersion: deltawire.io/v1
kind: Bridge
sources: [{ resources: [pods] }]
sinks: [{ name: out, type: '${type}'${keys} }]
`,
  })) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), text)
  }
  const file = join(folder, 'c.yaml')
  try {
    return { config: await loadConfig({ file, env: {} }), problems: [] }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return { problems: error.message.replaceAll(`file://${folder}/`, '').replaceAll(`${folder}/`, '').split('\n') }
  }
}

const packaged = (code: string) => ({
  'node_modules/@acme/lines/package.json': '{ "name": "@acme/lines", "exports": { ".": { "import": "./sink.mjs" } } }',
  'node_modules/@acme/lines/sink.mjs': code,
})

for (const [what, type, files] of [
  ['a file beside the configuration', './mine.js', { 'mine.js': definition() }],
  ['a file in a folder beside it', './sinks/mine.mjs', { 'sinks/mine.mjs': definition() }],
  ['TypeScript', './mine.ts', { 'mine.ts': `type Nothing = never\n${definition()}` }],
  ['a name with all that a URL would read differently', './a b%20#?.js', { 'a b%20#?.js': definition() }],
  ['a package that the folder of the configuration finds', '@acme/lines', packaged(definition())],
] as const) {
  test(`a type may be ${what}`, async () => {
    const { config, problems } = await load(type, files, ', to: x')
    assert.deepEqual(problems, [])
    assert.equal(config?.sinks[0]?.definition.type, 'mine')
    assert.equal(config?.sinks[0]?.options.type, type)
    assert.deepEqual(config?.sinks[0]?.own, { to: 'x' })
  })
}

test('an absolute path is one wherever the configuration is', async () => {
  const file = join(root, 'absolute.js')
  await writeFile(file, definition())
  assert.deepEqual((await load(file, {})).problems, [])
})

test('whatever copy of the contract lies beside a module, it gets the one of this process', async () => {
  const { config } = await load('./mine.js', {
    'mine.js': definition({ warnings: '() => [String(defineSink)]' }),
    'node_modules/deltawire/package.json': '{ "name": "deltawire", "exports": { "./sink": "./other.js" } }',
    'node_modules/deltawire/other.js': 'export const defineSink = (definition) => ({ ...definition, type: "other" })',
  })
  assert.equal(config?.sinks[0]?.definition.type, 'mine')
})

test('two configurations that name modules by the same words get each its own', async () => {
  const of = (type: string) => load('@acme/lines', packaged(definition({ type: `'${type}'` })))
  const [first, second] = await Promise.all([of('first'), of('second')])
  assert.deepEqual(
    [first, second].map(({ config }) => config?.sinks[0]?.definition.type),
    ['first', 'second'],
  )
})

const TYPE = 'c.yaml:4:28 sinks[0].type:'
const EXPORT = 'expected export const sink = defineSink({ … })'
const mine = (code: string) => ({ 'mine.js': code })

for (const [what, type, files, problem] of [
  [
    'a file that is not there',
    './mine.js',
    {},
    `${TYPE} there is no file mine.js; expected a path, relative to the folder of this file`,
  ],
  ['a file without its ./', 'mine.js', {}, `${TYPE} there is no type of sink "mine.js"; did you mean ./mine.js?`],
  [
    'a package that is not there',
    '@acme/none',
    {},
    /^c\.yaml:4:28 sinks\[0\]\.type: @acme\/none cannot be loaded: Error: Cannot find package '@acme\/none' imported from c\.yaml/,
  ],
  [
    'a folder',
    './mine',
    { 'mine/x.js': '' },
    /^c\.yaml:4:28 sinks\[0\]\.type: mine cannot be loaded: Error: Directory import/,
  ],
  [
    'what is no JavaScript',
    './mine.js',
    mine('export const sink = ;'),
    `${TYPE} mine.js cannot be loaded: SyntaxError: Unexpected token ';'; \`node --check mine.js\` shows where`,
  ],
  [
    'a module in a package of CommonJS',
    './mine.js',
    { ...mine(definition()), 'package.json': '{ "type": "commonjs" }' },
    `${TYPE} mine.js cannot be loaded: SyntaxError: Cannot use import statement outside a module; the package.json above it has to say "type": "module", or name the file .mjs`,
  ],
  [
    'what throws when it is imported',
    './mine.js',
    mine('\n  throw new RangeError("no luck\\nat all")'),
    `${TYPE} mine.js cannot be loaded: RangeError: no luck (mine.js:2:9)`,
  ],
  ['what throws a text', './mine.js', mine('throw "no luck"'), `${TYPE} mine.js cannot be loaded: it threw "no luck"`],
  [
    'an import that is not there',
    './mine.js',
    mine('import "./no.js"'),
    /mine\.js cannot be loaded: Error: Cannot find module 'no\.js' imported from mine\.js/,
  ],
  [
    'a part of deltawire that there is not',
    './mine.js',
    mine('import "deltawire/snk"'),
    /mine\.js cannot be loaded: Error: Package subpath '\.\/snk' is not defined by "exports"/,
  ],
  ['no export', './mine.js', mine('export {}'), `${TYPE} mine.js: exports no sink; ${EXPORT}`],
  [
    'a default export',
    './mine.js',
    mine('export default 1'),
    `${TYPE} mine.js: exports no sink, only default; ${EXPORT}`,
  ],
  [
    'no definition',
    './mine.js',
    mine('export const sink = 1'),
    `${TYPE} mine.js: its sink is no definition; ${EXPORT}`,
  ],
  [
    'no type',
    './mine.js',
    mine(definition({ type: 'undefined' })),
    `${TYPE} mine.js: its sink has no type; expected a name of lower-case letters, digits and -`,
  ],
  [
    'the type of a built-in',
    './mine.js',
    mine(definition({ type: "'kafka'" })),
    `${TYPE} mine.js: its sink calls itself kafka, as a built-in type does; expected a name of its own`,
  ],
  [
    'no create',
    './mine.js',
    mine(definition({ create: 'undefined' })),
    `${TYPE} mine.js: its sink has no function create; ${EXPORT}`,
  ],
  [
    'no limits',
    './mine.js',
    mine(definition({ limits: '{}' })),
    `${TYPE} mine.js: its sink has no function limits; ${EXPORT}`,
  ],
  [
    'no schema',
    './mine.js',
    mine(definition({ schema: 'null' })),
    `${TYPE} mine.js: schema: expected { type: 'object', properties: { … } }`,
  ],
  [
    'an unknown keyword',
    './mine.js',
    mine(definition({ schema: `{ type: 'object', properties: { a: { type: 'integer', minimun: 1 } } }` })),
    `${TYPE} mine.js: schema/properties/a/minimun: unknown keyword; did you mean minimum?`,
  ],
  [
    'a default that is none',
    './mine.js',
    mine(
      definition({
        schema: `{ type: 'object', properties: { a: { type: 'integer', default: 'x' }, b: { type: 'text' } } }`,
      }),
    ),
    `${TYPE} mine.js: schema/properties/a/default: is not valid by the schema beside it (and 1 more)`,
  ],
  [
    'a key that all sinks have',
    './mine.js',
    mine(definition({ schema: `{ type: 'object', properties: { timeout: { type: 'integer' } } }` })),
    `${TYPE} mine.js: schema/properties/timeout: every sink has this key: take another name`,
  ],
  [
    'a schema without end',
    './mine.js',
    mine(
      `const a = { type: 'array' }; a.items = a\n${definition({ schema: `{ type: 'object', properties: { a } }` })}`,
    ),
    /schema\/properties\/a\/items\/.*: nested too deeply$/,
  ],
  [
    'a limit that is no number',
    './mine.js',
    mine(definition({ limits: '() => ({ ...limits, maxBatchEvents: NaN })' })),
    'c.yaml:4:9 sinks[0]: the type says limits.maxBatchEvents is NaN; it has to be an integer above 0',
  ],
  [
    'a limit of 0',
    './mine.js',
    mine(definition({ limits: '() => ({ ...limits, concurrency: 0 })' })),
    'c.yaml:4:9 sinks[0]: the type says limits.concurrency is 0; it has to be an integer above 0',
  ],
  [
    'events that fit into no batch',
    './mine.js',
    mine(definition({ limits: '() => ({ ...limits, maxEventBytes: 11 })' })),
    'c.yaml:4:9 sinks[0]: the type says limits.maxEventBytes is above limits.maxBatchBytes: such an event fits into no batch',
  ],
  [
    'no sizeOf',
    './mine.js',
    mine(definition({ limits: '() => ({ ...limits, sizeOf: 1 })' })),
    'c.yaml:4:9 sinks[0]: the type has no function limits.sizeOf',
  ],
  [
    'no limits at all',
    './mine.js',
    mine(definition({ limits: '() => {}' })),
    'c.yaml:4:9 sinks[0]: limits of the type returns undefined; it has to return an object',
  ],
  [
    'a promise of a sink',
    './mine.js',
    mine(definition({ create: 'async () => made' })),
    'c.yaml:4:9 sinks[0]: create of the type returns a promise; it has to return a sink, at once',
  ],
  [
    'a sink without dispose',
    './mine.js',
    mine(definition({ create: '() => ({ connect() {}, deliver() {} })' })),
    'c.yaml:4:9 sinks[0]: create of the type returns a sink without [Symbol.asyncDispose]',
  ],
  [
    'a create that refuses',
    './mine.js',
    mine(definition({ create: '() => { throw new Error("not on Sundays") }' })),
    'c.yaml:4:9 sinks[0]: not on Sundays',
  ],
] as const) {
  test(`${what} is refused with its place and the way out`, async () => {
    const { problems } = await load(type, files)
    assert.equal(problems.length, 1, problems.join('\n'))
    if (typeof problem === 'string') assert.equal(problems[0], problem)
    else assert.match(problems[0] ?? '', problem)
  })
}

test('its keys are checked like those of a built-in type, with line, column and the nearest name', async () => {
  const { problems } = await load('./mine.js', mine(definition()), ', too: x, timeout: soon')
  assert.deepEqual(problems, [
    'c.yaml:4:41 sinks[0].too: unknown key; did you mean to?',
    'c.yaml:4:58 sinks[0].timeout: not a duration: "soon"; write it like 500ms, 15s, 5m or 1h',
  ])
})

test('a module that nobody names is not read', async () => {
  const { config } = await load('stdout', { 'mine.js': 'throw 1' })
  assert.equal(config?.sinks[0]?.definition, stdout)
})
