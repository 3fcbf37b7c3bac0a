/** The demo's output, kept as a copy and checked from outside. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { eventTypes } from 'deltawire/events'

const main = join(import.meta.dirname, '../../src/main.ts')
const keeper = join(import.meta.dirname, 'keep-a-copy.ts')

async function run(args: readonly string[], input = '') {
  const program = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'ignore'] })
  const exited = Promise.withResolvers<number | null>()
  program.once('close', exited.resolve)
  program.stdin.end(input)
  const out = await text(program.stdout)
  return { code: await exited.promise, lines: out.split('\n').slice(0, -1) }
}

interface Event {
  readonly type: string
  readonly stream: string
  readonly uid: string
  readonly data: { readonly snapshot?: { readonly mode: string } }
}

test('a copy of the demo equals every snapshot, and verify-copy finds the same from outside', async () => {
  const { lines: log } = await run([main, 'demo', '--for', '8s'])
  const events = log.map((line) => JSON.parse(line) as Event)
  const input = (lines: readonly string[]) => lines.map((line) => `${line}\n`).join('')
  const whole = await run([keeper], input(log))
  assert.equal(whole.code, 0)
  const summaries = whole.lines.filter((line) => / objects, /.test(line))
  assert.ok(summaries.length > 3)
  for (const line of summaries) assert.match(line, /: \d+ objects, digests: match$/)

  // up to an end nothing is newer than that end
  const last = events.findLastIndex(
    ({ type, stream, data }) =>
      type === eventTypes.snapshotEnd && stream.includes('deployments') && data.snapshot?.mode === 'full',
  )
  const end = events[last]
  assert.ok(end, 'the demo takes snapshots')
  const folder = await mkdtemp(join(tmpdir(), 'deltawire-keep-a-copy-'))
  try {
    const [copyFile, endFile] = [join(folder, 'copy.ndjson'), join(folder, 'end.json')]
    await writeFile(endFile, log[last] ?? '')
    const kept = await run([keeper, '--write', copyFile], input(log.slice(0, last + 1)))
    assert.equal(kept.code, 0)
    const summary = kept.lines.find((line) => line.startsWith(`${end.stream}: `)) ?? ''
    assert.match(summary, /: [1-9]\d* objects, digests: match$/)
    assert.ok(kept.lines.some((line) => line.startsWith(`put ${end.stream} `)))

    const verified = await run([main, 'verify-copy', '--file', copyFile, '--end', endFile])
    assert.equal(verified.code, 0)
    const [, count] = /: (\d+) objects/.exec(summary) ?? []
    assert.match(verified.lines[0] ?? '', new RegExp(`^equal: ${count} items?, the same members and state`))

    // one object of the stream never arrived: both say so
    const { uid: lost } = events.find(({ stream, uid }) => stream === end.stream && uid) ?? assert.fail()
    const rest = log.slice(0, last + 1).filter((_, index) => events[index]?.uid !== lost)
    assert.equal((await run([keeper, '--write', copyFile], input(rest))).code, 1)
    assert.equal((await run([main, 'verify-copy', '--file', copyFile, '--end', endFile])).code, 1)
  } finally {
    await rm(folder, { recursive: true })
  }
})
