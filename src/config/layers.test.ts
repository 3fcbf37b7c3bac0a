/** How the process section is laid together; among it what convict would do otherwise if nobody stopped it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { closed } from './bridge-config.ts'
import { type Layers, layer, leavesOf } from './layers.ts'
import { processSchema } from './process-section.ts'
import { file, load, problemsOf } from './test-kit.ts'

const schema = closed({
  type: 'object',
  properties: {
    flag: { type: 'boolean', default: false },
    count: { type: 'integer', default: 7, minimum: 0, maximum: 99 },
    name: { type: 'string', default: 'none' },
    optional: { type: 'string' },
    list: { type: 'array', items: { type: 'string' }, default: ['a'] },
    either: {
      oneOf: [{ const: 'none' }, { type: 'object', required: ['file'], properties: { file: { type: 'string' } } }],
      default: 'none',
    },
    deep: { type: 'object', default: {}, properties: { aLongName: { type: 'string', default: 'x' } } },
  },
})

function lay(layers: Partial<Layers>) {
  const { value, problems } = layer(schema, { file: {}, env: {}, args: {}, ...layers })
  return problems.length === 0 ? value : problems.map(({ path, message }) => `${path}: ${message}`)
}

const defaults = { flag: false, count: 7, name: 'none', list: ['a'], either: 'none', deep: { aLongName: 'x' } }

test('without any layer there are the defaults, and what has none is absent', () => {
  assert.deepEqual(lay({}), defaults)
})

test('the name of a variable is the path in capitals', () => {
  assert.deepEqual(
    leavesOf(schema).map(({ path, variable }) => [path, variable]),
    [
      ['flag', 'DELTAWIRE_FLAG'],
      ['count', 'DELTAWIRE_COUNT'],
      ['name', 'DELTAWIRE_NAME'],
      ['optional', 'DELTAWIRE_OPTIONAL'],
      ['list', undefined],
      ['either', undefined],
      ['deep.aLongName', 'DELTAWIRE_DEEP_A_LONG_NAME'],
    ],
  )
})

test('no variable is one that Kubernetes sets for a Service called deltawire', () => {
  const links = /_(?:SERVICE_HOST|SERVICE_PORT.*|PORT|PORT_\d+_(?:TCP|UDP).*)$/
  assert.deepEqual(
    leavesOf(processSchema).filter(({ variable }) => variable !== undefined && links.test(variable)),
    [],
  )
})

test('convict: only true and false are booleans in the environment', () => {
  assert.deepEqual(lay({ env: { DELTAWIRE_FLAG: 'true' } }), { ...defaults, flag: true })
  assert.deepEqual(lay({ env: { DELTAWIRE_FLAG: 'false' } }), defaults)
  for (const text of ['0', '1', 'no', 'off', 'yes', 'TRUE', ' ']) {
    assert.deepEqual(lay({ env: { DELTAWIRE_FLAG: text } }), ['flag: is text'], text)
  }
})

test('convict: a number in the environment is digits and nothing else', () => {
  assert.deepEqual(lay({ env: { DELTAWIRE_COUNT: '12' } }), { ...defaults, count: 12 })
  for (const text of ['12abc', '1e1', '0x10', '012', '1.5', ' 12', '99999999999999999999']) {
    assert.deepEqual(lay({ env: { DELTAWIRE_COUNT: text } }), ['count: is text'], text)
  }
  assert.deepEqual(lay({ env: { DELTAWIRE_COUNT: '100' } }), ['count: 100 is out of range'])
})

test('convict: an empty variable is one that is not set', () => {
  assert.deepEqual(lay({ env: { DELTAWIRE_FLAG: '', DELTAWIRE_COUNT: '', DELTAWIRE_NAME: '' } }), defaults)
  assert.deepEqual(lay({ file: { name: 'file' }, env: { DELTAWIRE_NAME: '' } }), { ...defaults, name: 'file' })
})

test('convict: a text with commas is a text, and lists do not come from the environment', () => {
  assert.deepEqual(lay({ env: { DELTAWIRE_NAME: 'a,b', DELTAWIRE_LIST: 'c,d' } }), { ...defaults, name: 'a,b' })
})

test('convict: an argument is taken as it is written', () => {
  for (const text of ['1.10', '007', '1e3', '0x10', 'true', '--flag', 'a=b', '']) {
    assert.deepEqual(lay({ args: { name: text } }), { ...defaults, name: text })
  }
})

test('convict: a value that is a text or a mapping may be either', () => {
  assert.deepEqual(lay({ file: { either: { file: '/key' } } }), { ...defaults, either: { file: '/key' } })
  assert.deepEqual(lay({ file: { either: 'none' } }), defaults)
})

test('convict: the environment and the arguments of the process are not looked at', async () => {
  process.env.DELTAWIRE_LOG_LEVEL = 'fatal'
  process.argv.push('--log.level=fatal')
  try {
    assert.deepEqual((await load(file.process(''))).log, { level: 'info' })
  } finally {
    process.argv.pop()
    delete process.env.DELTAWIRE_LOG_LEVEL
  }
})

test('convict: a key called default would hide its neighbours, so no definition may have one', () => {
  const refused = (name: string) => () => leavesOf({ properties: { [name]: { type: 'string' } } })
  assert.throws(refused('default'), { message: 'a key of the process section may not be called default' })
  assert.throws(refused('_cvtProperties'), TypeError)
  assert.throws(refused('a.b'), TypeError)
  assert.doesNotThrow(() => leavesOf(processSchema))
})

test('convict: what is in the lists is checked, and a credential in them is not repeated', async () => {
  const text = file.sinks('  - { name: a, type: echo, to: x, token: hunter2, unknown: hunter2 }\n  - hunter2')
  const lines = await problemsOf(text)
  assert.equal(lines.length, 3)
  assert.equal(lines.join().includes('hunter2'), false)
})

test('other variables that begin with DELTAWIRE_ are left alone', () => {
  assert.deepEqual(lay({ env: { DELTAWIRE_SERVICE_HOST: '10.0.0.1', DELTAWIRE_PORT: 'tcp://10.0.0.1:80' } }), defaults)
})

test('an argument names its key, and only one that text can be', () => {
  const { problems } = layer(schema, { file: {}, env: {}, args: { list: 'a', conut: '1' } })
  assert.deepEqual(problems, [
    {
      place: { type: 'argument', name: 'list' },
      path: '',
      message: 'unknown argument',
      expected: 'one of flag, count, name, optional, deep.aLongName',
    },
    { place: { type: 'argument', name: 'conut' }, path: '', message: 'unknown argument', nearest: 'count' },
  ])
})
