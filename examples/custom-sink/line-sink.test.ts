/** The sink of docs/write-a-sink.md passes what every sink of Deltawire passes, and what is special about it. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { event, makeSink, testSink } from 'deltawire/sink-contract'
import { sink } from './line-sink.js'
import { LineTarget } from './line-target.ts'

testSink('line', {
  definition: sink,
  recallable: true,
  answers: [
    ['retry', 'failed'],
    ['reject', 'rejected'],
    ['large', 'too-large'],
    ['busy', 'throttled'],
    ['busy 0', 'throttled', 0],
    ['something else', 'failed'],
  ],
  start: () => LineTarget.start(),
})

const { signal } = new AbortController()

test('the token is the first line of each connection, and one that is refused is said', async () => {
  await using target = await LineTarget.start()
  const { sink: made } = makeSink(sink, target, { secret: async () => 'open sesame' })
  await using _ = made
  await made.connect(signal)
  assert.deepEqual(await made.deliver([event({ id: '1' })], { signal }), [])
  assert.deepEqual(target.tokens, ['open sesame'])
  target.welcome = 'no'
  await assert.rejects(made.connect(signal), {
    code: 'unauthorized',
    message: `${target.config.address} refuses the token`,
  })
})

test('receiver.js prints what it is sent, and says that it has it', async () => {
  const receiver = spawn(process.execPath, [join(import.meta.dirname, 'receiver.js'), '0'])
  try {
    const [told] = await once(receiver.stderr, 'data')
    const [, address] = /^listening on (\S+)\n$/.exec(String(told)) ?? []
    const { sink: made } = makeSink(sink, { config: { address, token: { env: 'LINE_TOKEN' } } }, {})
    await using _ = made
    const printed = once(receiver.stdout, 'data')
    assert.deepEqual(await made.deliver([event({ id: 'seen' })], { signal }), [])
    assert.equal(JSON.parse(String(await printed)).id, 'seen')
  } finally {
    receiver.kill()
  }
})

test('of a batch only the lines that were not answered with ok have failed', async () => {
  await using target = await LineTarget.start()
  const { sink: made } = makeSink(sink, target, {})
  await using _ = made
  for (const answer of ['ok', 'reject', 'ok', 'busy 7']) target.fail(answer)
  const failures = await made.deliver(
    ['1', '2', '3', '4'].map((id) => event({ id })),
    { signal },
  )
  assert.deepEqual(
    failures.map(({ index, error }) => [index, error.code, error.retryAfterMs]),
    [
      [1, 'rejected', undefined],
      [3, 'throttled', 7000],
    ],
  )
  assert.deepEqual(
    target.received().map(({ attributes }) => attributes.id),
    ['1', '3'],
  )
})

test('P7 a receiver whose answers have no end is left', async () => {
  const endless = createServer((socket) => socket.on('data', () => socket.write('x'.repeat(1000))))
  await once(endless.listen(0, '127.0.0.1'), 'listening')
  const config = { address: `127.0.0.1:${(endless.address() as AddressInfo).port}` }
  const { sink: made } = makeSink(sink, { config }, {})
  await using _ = made
  const message = `no answer from ${config.address}`
  await assert.rejects(made.deliver([event({ id: '1' })], { signal }), { code: 'unavailable', message })
  await once(endless.close(), 'close') // when no connection is left
})
