/** Sinks that are not part of the product, in a bridge of its own process on a real API server. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { LineTarget } from '../../examples/custom-sink/line-target.ts'
import { eventually } from '../support/eventually.ts'
import { startApiServer, type TestApiServer } from '../testbed/api-server.ts'
import { startBridge } from './support/bridge-process.ts'

const ADDED = 'io.deltawire.object.added.v1'
const sources = [{ name: 'all', resources: ['configmaps'], namespaces: ['default'] }]

async function create(server: TestApiServer, name: string): Promise<void> {
  await server.admin.create('/api/v1/namespaces/default/configmaps', { metadata: { name }, data: { name } })
}

/** How often the creation of this object was taken. */
const taken = (target: LineTarget, name: string) =>
  target.received().filter(({ attributes }) => attributes.subject === `default/${name}` && attributes.type === ADDED)
    .length

test('P1 the sink of docs/write-a-sink.md delivers, also what came while its receiver was away', async () => {
  await using server = await startApiServer()
  await using target = await LineTarget.start()
  await using bridge = await startBridge({
    kubeconfig: await server.kubeconfig(),
    config: {
      sources,
      sinks: [{ name: 'lines', type: './line-sink.js', retry: { max: '1s' }, ...target.config }],
    },
    files: { 'line-sink.js': await readFile('examples/custom-sink/line-sink.js', 'utf8') },
    env: { LINE_TOKEN: 'open sesame' },
  })
  await bridge.ready()
  await create(server, 'first')
  await eventually(() => taken(target, 'first') === 1, { what: 'the first one has arrived' })
  assert.deepEqual(new Set(target.tokens), new Set(['open sesame']))

  await target.stop()
  await create(server, 'second')
  await bridge.logged('the outage', ({ key, state }) => key === 'sink lines' && state === 'unavailable')
  await target.restart()
  await eventually(() => taken(target, 'second') === 1, { what: 'the second one has arrived' })
  assert.equal(await bridge.end(), 0)
  assert.equal(taken(target, 'first'), 1)
  assert.doesNotMatch(await bridge.output(), /open sesame/)
})

/** Each answers with something else that the contract does not know; `silent` never, and it lets nothing go. */
const careless = `
import { defineSink } from 'deltawire/sink'
type Answer = 'nothing' | 'index' | 'throw' | 'size' | 'silent'
const answers: Record<Answer, () => unknown> = {
  nothing: () => undefined,
  index: () => [{ index: 99 }],
  throw: () => { throw 'a text' },
  size: () => [],
  silent: () => new Promise(() => setInterval(() => {}, 1000)),
}
export const sink = defineSink({
  type: 'careless',
  schema: {
    type: 'object',
    required: ['answer'],
    properties: { answer: { enum: ['nothing', 'index', 'throw', 'size', 'silent'], description: 'What it does.' } },
  },
  limits: ({ answer }) => ({
    maxEventBytes: 1e6, maxBatchEvents: 10, maxBatchBytes: 1e6, sameKeyInBatch: false, concurrency: 2,
    sizeOf: () => (answer === 'size' ? NaN : 10),
  }),
  create: ({ answer }) => {
    let used = false // what a configuration is checked with is thrown away, and that has to work
    return {
      connect: () => { used = true; return undefined as never },
      deliver: answers[answer] as never,
      async [Symbol.asyncDispose]() { if (used) throw new Error('never') },
    }
  },
})
`

test('P9 sinks that break the contract stop neither the bridge nor a sink that keeps it, nor its end', async () => {
  await using server = await startApiServer()
  await using target = await LineTarget.start()
  const answers = ['nothing', 'index', 'throw', 'size', 'silent']
  const common = { retry: { initial: '10ms', max: '50ms' }, timeout: '1s', required: false }
  await using bridge = await startBridge({
    kubeconfig: await server.kubeconfig(),
    config: {
      shutdown: { drain: '1s' },
      sources,
      sinks: [
        { name: 'lines', type: './line-sink.js', ...target.config },
        ...answers.map((answer) => ({ name: answer, type: './careless.ts', answer, ...common })),
      ],
    },
    files: { 'line-sink.js': await readFile('examples/custom-sink/line-sink.js', 'utf8'), 'careless.ts': careless },
    env: { LINE_TOKEN: 'open sesame' },
  })
  await bridge.ready()
  for (const name of ['a', 'b', 'c']) await create(server, name)
  await eventually(() => taken(target, 'c') === 1, { what: 'the good one has it' })
  const said = async (text: string) => await bridge.logged(text, (line) => JSON.stringify(line).includes(text))
  await said('sink nothing answered with undefined, not with a list of failures')
  await said('sink index answered with a failure of index 99 in a batch of 1')
  await said('sink throw threw an unexpected string')
  await said('limits.sizeOf returned NaN')
  assert.equal(await bridge.end(), 0)
  await said('the sink could not be closed; what was delivered is')
})

test('what is wrong with a module ends `run` before anything is started, with exit code 2 and its place', async () => {
  await using bridge = await startBridge({
    config: { sources, sinks: [{ name: 'mine', type: './mine.js', addres: 'x' }] },
    files: { 'mine.js': 'export default {}\n' },
  })
  assert.equal(await bridge.exited(), 2)
  assert.match(
    await bridge.output(),
    /deltawire\.yaml:\d+:\d+ sinks\[0\]\.type: \S+\/mine\.js: exports no sink, only default; expected export const sink = defineSink/,
  )
})
