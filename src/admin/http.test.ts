import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { pino } from 'pino'
import { ManualClock } from '../lib/manual-clock.ts'
import { Metrics } from '../telemetry/metrics.ts'
import { type ProbeOptions, serveHttp } from './http.ts'
import type { Readiness } from './readiness.ts'

const ready: Readiness = { ok: true, checks: [{ name: 'stream a/pods', ok: true, degraded: false, detail: 'synced' }] }

function options(changes: Partial<ProbeOptions> = {}): ProbeOptions {
  return {
    listen: '127.0.0.1:0',
    metrics: new Metrics({ clock: new ManualClock(), version: '1.2.3' }),
    readiness: () => ready,
    log: pino({ enabled: false }),
    ...changes,
  }
}

test('/livez is blind to everything but the event loop', async () => {
  await using server = await serveHttp(options({ readiness: () => ({ ok: false, checks: [] }) }))
  const response = await fetch(`${server.url}/livez`)
  assert.equal(response.status, 200)
  assert.equal(await response.text(), 'ok\n')
})

test('/readyz says for each stream and sink what is missing', async () => {
  let readiness: Readiness = {
    ok: false,
    checks: [
      { name: 'stream a/pods', ok: true, degraded: true, detail: 'synced, degraded: 403 pods is forbidden' },
      { name: 'sink audit', ok: false, degraded: true, detail: 'not connected yet' },
    ],
  }
  await using server = await serveHttp(options({ readiness: () => readiness }))
  const before = await fetch(`${server.url}/readyz?verbose`)
  assert.equal(before.status, 503)
  assert.equal(
    await before.text(),
    '[!] stream a/pods: synced, degraded: 403 pods is forbidden\n[-] sink audit: not connected yet\nnot ready\n',
  )
  readiness = ready
  const after = await fetch(`${server.url}/readyz`)
  assert.equal(after.status, 200)
  assert.equal(await after.text(), '[+] stream a/pods: synced\nready\n')
})

test('/readyz is JSON for who asks for it', async () => {
  await using server = await serveHttp(options())
  const response = await fetch(`${server.url}/readyz`, { headers: { accept: 'application/json' } })
  assert.equal(response.headers.get('content-type'), 'application/json')
  assert.deepEqual(await response.json(), ready)
})

test('/metrics is what Prometheus reads', async () => {
  await using server = await serveHttp(options())
  const response = await fetch(`${server.url}/metrics`)
  assert.equal(response.status, 200)
  assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/)
  assert.match(await response.text(), /^deltawire_build_info\{version="1\.2\.3"\} 1$/m)
})

test('other paths are 404, other methods 405, and HEAD is GET without a body', async () => {
  await using server = await serveHttp(options())
  const ask = async (path: string, method: string, body?: string) => {
    const response = await fetch(server.url + path, { method, ...(body !== undefined && { body }) })
    return [response.status, response.headers.get('allow'), await response.text()]
  }
  assert.deepEqual(await ask('/', 'GET'), [404, null, 'not found; there are /livez, /readyz, /metrics\n'])
  assert.deepEqual(await ask('/livez/', 'GET'), [404, null, 'not found; there are /livez, /readyz, /metrics\n'])
  assert.deepEqual(await ask('/livez', 'POST', 'x'.repeat(100_000)), [405, 'GET, HEAD', 'only GET and HEAD\n'])
  assert.deepEqual(await ask('/livez', 'HEAD'), [200, null, ''])
})

test('an endpoint that fails is a 500 without details, and is logged', async () => {
  const lines: string[] = []
  const log = pino({}, { write: (line: string) => void lines.push(line) })
  const readiness = () => {
    throw new Error('canary')
  }
  await using server = await serveHttp(options({ log, readiness }))
  const response = await fetch(`${server.url}/readyz`)
  assert.equal(response.status, 500)
  assert.equal(await response.text(), 'failed; the log says why\n')
  assert.match(lines.join(''), /an HTTP endpoint has failed/)
})

test('a port in use is an error that names the key', async () => {
  await using server = await serveHttp(options())
  const listen = server.url.slice('http://'.length)
  await assert.rejects(serveHttp(options({ listen })), {
    message: `http.listen ${listen}: the port is in use; set http.listen to another one, or stop what uses it`,
  })
  await assert.rejects(serveHttp(options({ listen: '192.0.2.1:0' })), {
    message: 'http.listen 192.0.2.1:0: this machine does not have the address',
  })
})

test('without a host it listens on all addresses', async () => {
  await using server = await serveHttp(options({ listen: ':0' }))
  const { port } = new URL(server.url)
  assert.equal((await fetch(`http://127.0.0.1:${port}/livez`)).status, 200)
})

test('what is no HTTP ends with its connection', async () => {
  await using server = await serveHttp(options())
  const { hostname, port } = new URL(server.url)
  const socket = connect(Number(port), hostname)
  socket.write('hello\r\n\r\n')
  const [answer] = await once(socket, 'data')
  assert.match(String(answer), /^HTTP\/1\.1 400 /)
  if (!socket.closed) await once(socket, 'close')
})

test('disposing twice is harmless, and ends open connections', async () => {
  const server = await serveHttp(options())
  const { hostname, port } = new URL(server.url)
  const socket = connect(Number(port), hostname)
  await once(socket, 'connect')
  socket.write('GET /livez HTTP/1.1\r\n') // and never the rest
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.on('error', () => {}) // a reset is one way to end it
  const start = performance.now()
  await server[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
  await closed
  assert.ok(performance.now() - start < 3000, 'it waited for the time limit of the request')
  await assert.rejects(fetch(`${server.url}/livez`))
})
