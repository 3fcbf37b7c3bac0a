/** On real pipes; what all sinks must do is in contract.test.ts. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { pino } from 'pino'
import type { Sink } from '../../src/delivery/sink.ts'
import { ManualClock } from '../../src/lib/manual-clock.ts'
import { event } from '../contract-kit.ts'
import { sink } from './index.ts'

const signal = new AbortController().signal

function make(stdout: NodeJS.WritableStream, format: 'ndjson' | 'pretty' = 'ndjson'): Sink {
  const secret = () => Promise.reject(new Error('no secret is needed'))
  return sink.create(
    { format, color: 'auto' },
    { name: 'out', clock: new ManualClock('2026-01-02T03:04:05Z'), logger: pino({ enabled: false }), stdout, secret },
  )
}

function pipeTo(command: string, ...args: string[]): ChildProcess & { stdin: NonNullable<ChildProcess['stdin']> } {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const { stdin } = child
  assert.ok(stdin)
  return Object.assign(child, { stdin })
}

const large = Array.from({ length: 100 }, (_, n) => event({ id: `${n}`, data: JSON.stringify('x'.repeat(20_000)) }))

test('one line per event, all there when deliver resolves', async () => {
  const cat = pipeTo('cat')
  assert.ok(cat.stdout)
  const output = text(cat.stdout)
  await using out = make(cat.stdin)
  assert.deepEqual(await out.deliver(large, { signal }), [])
  assert.equal(cat.stdin.writableLength, 0)
  cat.stdin.end()
  const lines = (await output).trimEnd().split('\n')
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).id),
    large.map(({ attributes }) => attributes.id),
  )
})

test('P7 a reader that does not read: deliveries give up as unavailable, and only one batch is ever buffered', async () => {
  const reader = pipeTo('sleep', '600')
  const out = make(reader.stdin)
  const buffered: number[] = []
  for (let attempt = 0; attempt < 5; attempt++) {
    const controller = new AbortController()
    const delivery = out.deliver(large, { signal: controller.signal })
    buffered.push(reader.stdin.writableLength)
    controller.abort()
    await assert.rejects(delivery, { code: 'unavailable', message: 'standard output takes no more data' })
  }
  assert.ok(Math.max(...buffered) < 2.2e6, `${buffered}`)
  await out[Symbol.asyncDispose]()
  reader.kill()
  await once(reader, 'exit')
})

test('a reader that goes away makes the sink unavailable and ends nothing else', async () => {
  const reader = pipeTo('sleep', '600')
  await using out = make(reader.stdin)
  const delivery = out.deliver(large, { signal })
  reader.kill()
  await assert.rejects(delivery, {
    code: 'unavailable',
    message: /^standard output cannot be written to: E[A-Z_]+$/,
  })
  await assert.rejects(out.deliver(large, { signal }), { code: 'unavailable' })
})

test('pretty writes its line, without colours into a pipe', async () => {
  const cat = pipeTo('cat')
  assert.ok(cat.stdout)
  const output = text(cat.stdout)
  await using out = make(cat.stdin, 'pretty')
  await out.deliver([event({ id: '1', resource: 'pods' })], { signal })
  cat.stdin.end()
  assert.equal(await output, '03:04:05 updated  pods                 shop/web\n')
})

test('dispose leaves no listener behind', async () => {
  const cat = pipeTo('cat')
  const before = cat.stdin.listenerCount('error')
  const out = make(cat.stdin)
  assert.equal(cat.stdin.listenerCount('error'), before + 1)
  await out.deliver([event({ id: '1' })], { signal })
  await out[Symbol.asyncDispose]()
  await out[Symbol.asyncDispose]()
  assert.equal(cat.stdin.listenerCount('error'), before)
  cat.stdin.end()
  await once(cat, 'exit')
})
