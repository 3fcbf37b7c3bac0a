import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { decodeStructured } from '../../src/events/index.ts'

const main = join(import.meta.dirname, '../../src/main.ts')

const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8')

const start = (...args: readonly string[]) =>
  spawn(process.execPath, [main, 'demo', ...args], { stdio: ['ignore', 'pipe', 'pipe'] })

test('the demo shows in ten seconds what the product is for, as NDJSON in a pipe, and ends with 0', async () => {
  const child = start('--for', '10s')
  const [out, told, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
  assert.equal(code, 0)
  const events = out.trim().split('\n').map(decodeStructured)
  const types = new Set(events.map(({ attributes }) => attributes.type))
  for (const type of [
    'object.added',
    'object.updated',
    'object.deleted',
    'snapshot.begin',
    'snapshot.item',
    'snapshot.end',
    'stream.gap',
  ]) {
    assert.ok(types.has(`io.deltawire.${type}.v1`), `no ${type}`)
  }
  for (const step of ['rollout', 'crash loop', 'scale-down', 'forced relist'])
    assert.match(told, new RegExp(`-- ${step}`))
  assert.match(told, /== \d+ events\/s, lag \d+ ms, 0 queued, \d+ objects in 8 streams, \d+ snapshots/)
  const [, section] = /== \d+ events in 1\d\.\d s, \d+ snapshots\. Next: README\.md, "(.+)"\n$/.exec(told) ?? []
  assert.ok(readme.includes(`\n## ${section}\n`), `README.md has no section ${section}`)
})

test('Ctrl-C ends the demo with 0, and so does a reader that goes away', async () => {
  const interrupted = start()
  await once(createInterface({ input: interrupted.stdout }), 'line')
  interrupted.stdout.resume()
  interrupted.kill('SIGINT')
  assert.deepEqual(await once(interrupted, 'exit'), [0, null])

  const unread = start()
  await once(createInterface({ input: unread.stdout }), 'line')
  unread.stdout.destroy()
  assert.deepEqual(await once(unread, 'exit'), [0, null])
})
