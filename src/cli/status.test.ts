import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { pino } from 'pino'
import { serveHttp } from '../admin/http.ts'
import type { Readiness } from '../admin/readiness.ts'
import type { Clock } from '../lib/clock.ts'
import { ManualClock } from '../lib/manual-clock.ts'
import { Metrics } from '../telemetry/metrics.ts'
import { ExitCode } from './exit-code.ts'
import { status } from './status.ts'

const synced = { name: 'stream pods/pods', ok: true, degraded: false, detail: 'synced' }
const away = { name: 'sink audit', ok: false, degraded: true, detail: 'not connected yet' }
const there = { ...away, ok: true, degraded: false, detail: 'connected' }
const ready: Readiness = { ok: true, checks: [synced, there] }
const notReady: Readiness = { ok: false, checks: [synced, away] }

async function serve(readiness: () => Readiness) {
  const metrics = new Metrics({ clock: new ManualClock(), version: '1.2.3' })
  return await serveHttp({ listen: '127.0.0.1:0', metrics, readiness, log: pino({ enabled: false }) })
}

interface Asked {
  readonly waitMs?: number
  readonly clock?: Clock
  readonly signal?: AbortSignal
}

function ask(
  url: string,
  { waitMs = 0, clock = new ManualClock(), signal = new AbortController().signal }: Asked = {},
) {
  const out: string[] = []
  const err: string[] = []
  const stdout = { write: (text: string) => out.push(text) }
  const stderr = { write: (text: string) => err.push(text) }
  const told = status({ url, waitMs, clock, stdout, stderr, signal })
  return told.then((code) => ({ code, out: out.join(''), err: err.join('') }))
}

test('a bridge that is ready is told with each stream and sink, and the exit code is 0', async () => {
  await using server = await serve(() => ready)
  assert.deepEqual(await ask(server.url), {
    code: ExitCode.done,
    out: '[+] stream pods/pods: synced\n[+] sink audit: connected\nDeltawire 1.2.3 is ready\n',
    err: '',
  })
})

test('the address of a Service, as Kubernetes puts it into the environment of pods, is one', async () => {
  await using server = await serve(() => ready)
  assert.equal((await ask(server.url.replace('http:', 'tcp:'))).code, ExitCode.done)
})

test('one that is not is told with what it waits for, and the exit code is 1', async () => {
  await using server = await serve(() => notReady)
  assert.deepEqual(await ask(server.url), {
    code: ExitCode.failed,
    out: '[+] stream pods/pods: synced\n[-] sink audit: not connected yet\nDeltawire 1.2.3 is not ready\n',
    err: '',
  })
})

/** Passes the pauses between two questions in no time; the longer time limits never end. */
function hastyClock(): Clock {
  let elapsed = 0
  return {
    monotonic: () => elapsed,
    now: () => new Date(elapsed),
    after(delayMs, callback) {
      if (delayMs <= 1_000) {
        elapsed += delayMs
        queueMicrotask(callback)
      }
      return { [Symbol.dispose]: () => undefined }
    },
  }
}

test('it can be waited for', async () => {
  let asked = 0
  await using server = await serve(() => (++asked < 4 ? notReady : ready))
  assert.equal((await ask(server.url, { waitMs: 60_000, clock: hastyClock() })).code, ExitCode.done)
  assert.equal(asked, 4)
})

test('a wait has an end: what is told then is the last that was said', async () => {
  let asked = 0
  await using server = await serve(() => {
    asked++
    return notReady
  })
  const { code, out } = await ask(server.url, { waitMs: 2_500, clock: hastyClock() })
  assert.equal(code, ExitCode.failed)
  assert.match(out, /Deltawire 1\.2\.3 is not ready\n$/)
  assert.equal(asked, 4) // after 0, 1, 2 and 2.5 s
})

test('nobody answers: the reason and what to look at are told', async () => {
  const { url } = await closedServer()
  const { code, out, err } = await ask(url)
  assert.deepEqual([code, out], [ExitCode.failed, ''])
  assert.equal(err, `${url}: no answer (ECONNREFUSED): is the bridge running, and is http.listen this port?\n`)
})

test('who answers may be somebody else', async () => {
  await using server = await otherServer()
  const { code, err } = await ask(`${server.url}/?token=hunter2`)
  assert.deepEqual([code, err], [ExitCode.failed, `${server.url}: /metrics (200) is not that of Deltawire\n`])
})

test('a URL that is none is a mistake of whoever typed it', async () => {
  const { code, err } = await ask('localhost:8080')
  assert.deepEqual([code, err], [ExitCode.usage, '--url: not an absolute URL such as http://127.0.0.1:8080\n'])
})

test('a wait ends when the process is asked to stop', async () => {
  await using server = await serve(() => notReady)
  const stop = new AbortController()
  stop.abort(new Error('stopped'))
  await assert.rejects(ask(server.url, { waitMs: 60_000, signal: stop.signal }), { message: 'stopped' })
})

async function otherServer() {
  const server = createServer((_, response) => response.end('hello'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const close = () => new Promise<void>((resolve) => server.close(() => resolve()))
  return { url: `http://127.0.0.1:${port}`, [Symbol.asyncDispose]: close }
}

async function closedServer() {
  await using server = await otherServer()
  return { url: server.url }
}
