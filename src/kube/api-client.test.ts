import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { ManualClock } from '../lib/manual-clock.ts'
import { ApiClient, type ApiRequest } from './api-client.ts'
import { KubeError, type KubeErrorCode } from './errors.ts'
import { type Call, json, ScriptedServer, status, stream } from './testing/scripted-server.ts'
import { type SelfSigned, selfSigned } from './testing/self-signed.ts'
import { settle } from './testing/settle.ts'

/** Never aborts. */
const { signal } = new AbortController()

const failed =
  (code: KubeErrorCode, message = /./) =>
  (error: unknown) =>
    error instanceof KubeError && error.code === code && message.test(error.message)

interface Setup extends AsyncDisposable {
  readonly server: ScriptedServer
  readonly clock: ManualClock
  readonly client: ApiClient
}

async function setUp(answer: (call: Call, index: number) => void, user: object = {}, tls?: SelfSigned): Promise<Setup> {
  const server = await ScriptedServer.start(answer, tls)
  const clock = new ManualClock()
  const client = new ApiClient(server.config(user), { clock })
  return {
    server,
    clock,
    client,
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
    },
  }
}

/** A directory for one test. */
function directory(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'deltawire-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) }
}

test('a call sends its query and body and gives the parsed answer', async () => {
  await using it = await setUp((call) => {
    let body = ''
    call.response.req.on('data', (chunk: Buffer) => {
      body += chunk.toString()
    })
    call.response.req.on('end', () => json(call, { got: JSON.parse(body) }, 201))
  })
  const request = {
    method: 'PATCH',
    path: '/apis/coordination.k8s.io/v1/namespaces/a/leases/b',
    query: { fieldManager: 'deltawire & co', absent: undefined },
    contentType: 'application/merge-patch+json',
    body: { spec: { holderIdentity: 'é' } },
  } as const
  assert.deepEqual(await it.client.request(request, signal), { status: 201, body: { got: request.body } })
  const [call] = it.server.calls
  assert.equal(call?.method, 'PATCH')
  assert.deepEqual(Object.fromEntries(call?.query ?? []), { fieldManager: 'deltawire & co' })
  assert.equal(call?.headers['content-type'], 'application/merge-patch+json')
  assert.match(call?.headers['user-agent'] ?? '', /^deltawire\/\d+\.\d+\.\d+/)
})

test('an answer may be empty, or gzip; another encoding and no JSON are unusable', async () => {
  await using it = await setUp(({ path, response }) => {
    if (path === '/gzip') response.setHeader('content-encoding', 'gzip').end(gzipSync('{"a":1}'))
    else if (path === '/br') response.setHeader('content-encoding', 'br').end('x')
    else response.end(path === '/html' ? '<html>secret</html>' : '')
  })
  assert.equal(await it.client.get('/empty', signal), undefined)
  assert.deepEqual(await it.client.get('/gzip', signal), { a: 1 })
  await assert.rejects(it.client.get('/br', signal), failed('unusable', /Content-Encoding br, not gzip/))
  await assert.rejects(
    it.client.get('/html', signal),
    failed('unusable', /^the answer to GET \/html is not JSON \(19 bytes\)$/),
  )
})

test('the path of the server URL is kept', async () => {
  await using server = await ScriptedServer.start((call) => json(call, { path: call.path }))
  await using client = new ApiClient(server.config({}, { server: `${server.url}/k8s/clusters/c-1/` }))
  assert.deepEqual(await client.get('/api', signal), { path: '/k8s/clusters/c-1/api' })
})

test('C69 429 and 5xx are tried again when they say when, and only then', async () => {
  const table: readonly (readonly [number, string | undefined, number])[] = [
    [429, '1', 2],
    [500, '1', 2],
    [503, '0', 2],
    [504, '1', 2],
    [429, undefined, 1],
    [503, undefined, 1],
    [403, '1', 1],
    [404, '1', 1],
    [409, '1', 1],
    [503, '11', 1], // too long to wait for without telling
  ]
  for (const [code, after, calls] of table) {
    await using it = await setUp((call, index) => {
      if (index === 0) json(call, {}, code, after === undefined ? {} : { 'retry-after': after })
      else json(call, { ok: true })
    })
    const outcome = await settle(
      it.client.get('/x', signal).then(
        () => 200,
        (error: KubeError) => error.status,
      ),
      it.clock,
    )
    assert.deepEqual([it.server.calls.length, outcome], [calls, calls === 1 ? code : 200], `${code} ${after}`)
  }
})

test('C69 there are ten retries at most, each after the delay that was asked for', async () => {
  const times: number[] = []
  await using it = await setUp((call) => {
    times.push(it.clock.monotonic())
    json(call, status(503, 'ServiceUnavailable', 'no'), 503, { 'retry-after': '2' })
  })
  const outcome = settle(it.client.get('/x', signal), it.clock)
  await assert.rejects(outcome, failed('unavailable'))
  assert.equal(times.length, 11)
  for (const [index, time] of times.entries()) assert.ok(time - (times[index - 1] ?? -2000) >= 2000)
})

test('C69 a retry that the server wants at once comes after an exponential back-off, never in a burst', async () => {
  const times: number[] = []
  await using it = await setUp((call) => {
    times.push(it.clock.monotonic())
    json(call, {}, 429, { 'retry-after': '0' })
  })
  await assert.rejects(settle(it.client.get('/x', signal), it.clock), failed('throttled'))
  assert.equal(times.length, 11)
  const waits = times.slice(1).map((time, index) => time - (times[index] ?? 0))
  for (const [index, wait] of waits.entries()) assert.ok(wait >= Math.min(800 * 2 ** index, 10_000), `${waits}`)
})

test('C69 a GET is sent again 1 s after its connection broke, also within the answer; a write never', async () => {
  const broken = (call: Call, index: number) => {
    if (index === 0) call.socket.destroy()
    else if (index === 1) {
      call.response.setHeader('content-length', '100').flushHeaders()
      call.response.write('{"a":')
      setImmediate(() => call.socket.destroy())
    } else json(call, { ok: true })
  }
  await using reading = await setUp(broken)
  assert.deepEqual(await settle(reading.client.get('/x', signal), reading.clock), { ok: true })
  assert.equal(reading.server.calls.length, 3)
  assert.ok(reading.clock.monotonic() >= 2000)
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'] as const) {
    await using writing = await setUp(broken)
    const call = writing.client.request({ method, path: '/x', body: {} }, signal)
    await assert.rejects(settle(call, writing.clock), failed('reset', new RegExp(`^${method} /x: `)))
    assert.equal(writing.server.calls.length, 1)
  }
})

test('a server that is not there refuses, and is not asked again', async () => {
  const server = await ScriptedServer.start(() => undefined)
  const config = server.config()
  await server[Symbol.asyncDispose]()
  await using client = new ApiClient(config, { clock: new ManualClock() })
  await assert.rejects(client.get('/x', signal), failed('refused', /^GET \/x: .*ECONNREFUSED/))
})

test('a certificate that the kubeconfig does not trust is refused', async () => {
  await using it = await setUp((call) => json(call, {}), {}, selfSigned('trusted'))
  const strangers = Buffer.from(selfSigned('trusted').cert).toString('base64')
  await using client = new ApiClient(it.server.config({}, { caData: strangers }))
  await assert.rejects(client.get('/x', signal), failed('refused', /certificate/))
  await using careless = new ApiClient(it.server.config({}, { caData: undefined, skipTLSVerify: true }))
  assert.deepEqual(await careless.get('/x', signal), {})
})

test('a kubeconfig that no connection can be made from refuses, and says what to look at', async () => {
  await using it = await setUp((call) => json(call, {}))
  const cases: readonly (readonly [object, KubeErrorCode, RegExp])[] = [
    [{ server: 'https://' }, 'refused', /^cluster scripted of the kubeconfig cannot be used; check its server/],
    [{ server: 'https://127.0.0.1:1', caData: 'bm8gY2VydGlmaWNhdGU=' }, 'refused', /./],
    [{ proxyUrl: 'nonsense' }, 'unauthorized', /user tester of context test; check that user and its cluster/],
    [{ skipTLSVerify: false }, 'unauthorized', /check that user and its cluster in the kubeconfig$/],
  ]
  for (const [cluster, code, message] of cases) {
    await using client = new ApiClient(it.server.config({}, cluster))
    await assert.rejects(client.get('/x', signal), failed(code, message), JSON.stringify(cluster))
  }
  assert.equal(it.server.connections, 0)
})

test('calls and watches go through the HTTP proxy of the kubeconfig', async () => {
  await using it = await setUp((call) => stream(call, { path: call.path }), {}, selfSigned('api'))
  const tunnels: string[] = []
  await using proxy = await startProxy(tunnels)
  await using client = new ApiClient(it.server.config({}, { proxyUrl: proxy.url }))
  const { body } = await client.open({ method: 'GET', path: '/watch' }, { idleMs: 1000 }, signal)
  assert.equal((await body.read(1000))?.toString(), '{"path":"/watch"}\n')
  assert.deepEqual(tunnels, [new URL(it.server.url).host])
  await body[Symbol.asyncDispose]()
})

/** Tunnels CONNECT requests, whose targets it notes. */
async function startProxy(tunnels: string[]): Promise<AsyncDisposable & { readonly url: string }> {
  const sockets = new Set<Duplex>()
  const proxy = createServer().on('connect', (request, socket: Duplex) => {
    tunnels.push(request.url ?? '')
    const { hostname, port } = new URL(`http://${request.url}`)
    const target = connect(Number(port), hostname, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      socket.pipe(target).pipe(socket)
    })
    for (const each of [socket, target]) sockets.add(each.on('error', () => each.destroy()))
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => proxy.close(resolve))
    },
  }
}

test('many calls at once share one HTTP/2 connection', async () => {
  await using it = await setUp((call) => stream(call, { a: 1 }), {}, selfSigned('api'))
  const { body } = await it.client.open({ method: 'GET', path: '/first' }, { idleMs: 1000 }, signal)
  const others = await Promise.all(
    Array.from({ length: 30 }, () => it.client.open({ method: 'GET', path: '/x' }, { idleMs: 1000 }, signal)),
  )
  assert.equal(it.server.connections, 1)
  for (const each of [body, ...others.map((other) => other.body)]) await each[Symbol.asyncDispose]()
})

test('credentials: bearer token, user and password, impersonation', async () => {
  const answer = (call: Call) => json(call, [call.headers.authorization, call.headers['impersonate-user']])
  await using bearer = await setUp(answer, { token: 'abc' })
  assert.deepEqual(await bearer.client.get('/x', signal), ['Bearer abc', null])
  await using basic = await setUp(answer, { username: 'me', password: 'p:w', impersonateUser: 'other' })
  assert.deepEqual(await basic.client.get('/x', signal), [`Basic ${Buffer.from('me:p:w').toString('base64')}`, 'other'])
})

test('X12 a 401 makes the token be read anew, once, whoever cached it; then the call succeeds', async () => {
  using dir = directory()
  const tokenFile = join(dir.path, 'token')
  writeFileSync(tokenFile, 'old')
  let valid = 'old'
  await using it = await setUp(
    (call) => (call.headers.authorization === `Bearer ${valid}` ? json(call, { ok: true }) : json(call, {}, 401)),
    { authProvider: { name: 'tokenFile', config: { tokenFile } } },
  )
  assert.deepEqual(await it.client.get('/x', signal), { ok: true })
  valid = 'new'
  writeFileSync(tokenFile, 'new')
  assert.deepEqual(await it.client.get('/x', signal), { ok: true })
  const { body } = await it.client.open({ method: 'GET', path: '/watch' }, { idleMs: 1000 }, signal)
  await body[Symbol.asyncDispose]()
  assert.deepEqual(
    it.server.calls.map(({ headers }) => headers.authorization),
    ['Bearer old', 'Bearer old', 'Bearer new', 'Bearer new'],
  )
})

test('X12 a 401 that stays is unauthorized after one retry, and the whole kubeconfig is loaded again for it', async () => {
  await using server = await ScriptedServer.start((call) =>
    json(call, status(401, 'Unauthorized', 'Unauthorized'), 401),
  )
  let loads = 0
  const reload = () => server.config({ token: `token-${++loads}` })
  await using client = new ApiClient(reload(), { reload })
  await assert.rejects(client.get('/x', signal), failed('unauthorized', /^GET \/x: 401 Unauthorized: Unauthorized$/))
  assert.deepEqual(
    server.calls.map(({ headers }) => headers.authorization),
    ['Bearer token-1', 'Bearer token-2'],
  )
})

test('X12 calls that are refused together read the credentials anew once', async () => {
  let refused = 0
  const held: Call[] = []
  await using server = await ScriptedServer.start((call) => {
    if (call.headers.authorization !== 'Bearer token-1') return json(call, { ok: true })
    held.push(call)
    if (++refused === 5) for (const each of held) json(each, {}, 401)
  })
  let loads = 0
  const reload = () => server.config({ token: `token-${++loads}` })
  await using client = new ApiClient(reload(), { reload })
  await Promise.all(Array.from({ length: 5 }, () => client.get('/x', signal)))
  assert.deepEqual([loads, refused], [2, 5])
})

test('X12 a kubeconfig that cannot be loaded again is unauthorized, and is tried again with the next call', async () => {
  await using server = await ScriptedServer.start((call) =>
    call.headers.authorization === 'Bearer good' ? json(call, {}) : json(call, {}, 401),
  )
  let loads = 0
  const reload = () => {
    if (++loads === 1) throw new Error('half written')
    return server.config({ token: 'good' })
  }
  await using client = new ApiClient(server.config({ token: 'bad' }), { reload })
  await assert.rejects(client.get('/x', signal), failed('unauthorized', /cannot be read again/))
  assert.deepEqual(await client.get('/x', signal), {})
})

test('an exec plugin runs once for calls that begin together; its failure is unauthorized and quotes no output', async () => {
  using dir = directory()
  const count = join(dir.path, 'count')
  const script = (text: string) => ({ exec: { command: '/bin/sh', args: ['-c', text] } })
  const credential = JSON.stringify({ status: { token: 'from-plugin' } })
  await using it = await setUp(
    (call) => json(call, call.headers.authorization),
    script(`echo x >> ${count}; echo '${credential}'`),
  )
  const answers = await Promise.all([1, 2, 3].map(() => it.client.get('/x', signal)))
  assert.deepEqual(answers, ['Bearer from-plugin', 'Bearer from-plugin', 'Bearer from-plugin'])
  assert.equal(readFileSync(count, 'utf8'), 'x\n')
  await using odd = await setUp((call) => json(call, {}), script('echo my-token'))
  await assert.rejects(odd.client.get('/x', signal), (error) => {
    assert.ok(failed('unauthorized', /credentials of user tester of context test/)(error))
    assert.ok(!String((error as KubeError).cause).includes('my-token'))
    return true
  })
  assert.equal(odd.server.calls.length, 0)
})

test('F23 a rotated CA or client certificate makes a new connection, and a running watch ends on the old one', async () => {
  using dir = directory()
  const [old, young] = [selfSigned('old'), selfSigned('young')]
  const caFile = join(dir.path, 'ca.crt')
  // written aside and renamed, as the kubelet swaps mounted files
  const trust = (...certificates: readonly SelfSigned[]) => {
    writeFileSync(`${caFile}.new`, certificates.map(({ cert }) => cert).join(''))
    renameSync(`${caFile}.new`, caFile)
  }
  await using server = await ScriptedServer.start((call) => stream(call, 'hello'), old)
  trust(old)
  await using client = new ApiClient(server.config({}, { caData: undefined, caFile }))
  const request: ApiRequest = { method: 'GET', path: '/watch' }
  const { body: first } = await client.open(request, { idleMs: 10_000 }, signal)
  await first.read(10_000)
  trust(old, young)
  const { body: second } = await client.open(request, { idleMs: 10_000 }, signal)
  assert.equal(server.connections, 2)
  const { response } = await server.called(1)
  response.write('still there')
  assert.equal((await first.read(10_000))?.toString(), 'still there')
  trust(young)
  await assert.rejects(client.open(request, { idleMs: 10_000 }, signal), failed('refused', /certificate/))
  response.end()
  assert.equal(await first.read(10_000), undefined)
  await second[Symbol.asyncDispose]()
})

/** Runs `work` under a signal that aborts when `moment` has come, and gives what it rejected with. */
async function abortedAt(moment: Promise<unknown>, work: (signal: AbortSignal) => Promise<unknown>): Promise<unknown> {
  const controller = new AbortController()
  const outcome = work(controller.signal).then(
    () => 'finished',
    (error: unknown) => error,
  )
  await moment
  controller.abort('stop')
  return await outcome
}

test('X9 an abort at any await rejects with its reason, and nothing is sent afterwards', async () => {
  const open = (client: ApiClient) => (signal: AbortSignal) =>
    client.open({ method: 'GET', path: '/x' }, { idleMs: 1000 }, signal)
  const get = (client: ApiClient) => (signal: AbortSignal) => client.get('/x', signal)

  for (const call of [open, get]) {
    // before anything
    await using before = await setUp((each) => json(each, {}))
    assert.equal(await call(before.client)(AbortSignal.abort('stop')).catch((error: unknown) => error), 'stop')
    assert.equal(before.server.connections, 0)

    // while credentials are awaited
    const exec = { command: '/bin/sh', args: ['-c', `echo '{"status":{"token":"t"}}'`] }
    await using auth = await setUp((each) => json(each, {}), { exec })
    assert.equal(await abortedAt(Promise.resolve(), call(auth.client)), 'stop')
    await auth.client.get('/later', signal)
    assert.deepEqual(
      auth.server.calls.map(({ path }) => path),
      ['/later'],
    )

    // while connecting, and while the answer is awaited
    await using connecting = await setUp((each) => json(each, {}))
    assert.equal(await abortedAt(Promise.resolve(), call(connecting.client)), 'stop')
    await connecting.client.get('/later', signal)
    assert.deepEqual(
      connecting.server.calls.map(({ path }) => path),
      ['/later'],
    )
    await using answering = await setUp(() => undefined)
    assert.equal(await abortedAt(answering.server.called(1), call(answering.client)), 'stop')

    // after a 401, while the second answer is awaited
    await using refused = await setUp((each, index) => (index === 0 ? json(each, {}, 401) : undefined))
    assert.equal(await abortedAt(refused.server.called(2), call(refused.client)), 'stop')
    assert.equal(refused.server.calls.length, 2)
  }

  // within the body of a call, and in the wait before a retry
  await using reading = await setUp((each) => stream(each, 'a'))
  assert.equal(await abortedAt(reading.server.called(1), get(reading.client)), 'stop')
  await using waiting = await setUp((each) => json(each, {}, 503, { 'retry-after': '5' }))
  const sleeping = (async () => {
    while (waiting.clock.pending === 0 || waiting.server.calls.length === 0) await waiting.clock.advance(0)
  })()
  assert.equal(await abortedAt(sleeping, get(waiting.client)), 'stop')
  await waiting.clock.advance(60_000)
  assert.deepEqual([waiting.server.calls.length, waiting.clock.pending], [1, 0])

  // within an open body
  const controller = new AbortController()
  const { body } = await reading.client.open({ method: 'GET', path: '/x' }, { idleMs: 1000 }, controller.signal)
  await body.read(1000)
  const pending = body.read(1000)
  controller.abort('stop')
  assert.equal(await pending.catch((error: unknown) => error), 'stop')
  assert.equal(await body.read(1000).catch((error: unknown) => error), 'stop')
})

test('P9 a credential plugin that hangs is said so, time and again, and is not run twice', async () => {
  await using server = await ScriptedServer.start((call) => json(call, { ok: true }))
  const config = server.config()
  const reading = Promise.withResolvers<void>()
  let readings = 0
  config.applyToHTTPSOptions = async () => {
    readings++
    await reading.promise
  }
  const clock = new ManualClock()
  await using client = new ApiClient(config, { clock })
  for (let attempt = 0; attempt < 2; attempt++) {
    const call = assert.rejects(client.get('/x', signal), failed('unauthorized', /were not read within 60 s/))
    await clock.advance(60_000)
    await call
  }
  assert.deepEqual([readings, clock.pending], [1, 0])
  reading.resolve()
  assert.deepEqual(await client.get('/x', signal), { ok: true })
})

test('a disposed client breaks what runs and opens nothing more', async () => {
  await using server = await ScriptedServer.start((call) => stream(call, 'a'))
  const client = new ApiClient(server.config(), { clock: new ManualClock() })
  const { body } = await client.open({ method: 'GET', path: '/x' }, { idleMs: 1000 }, signal)
  await body.read(1000)
  await client[Symbol.asyncDispose]()
  await client[Symbol.asyncDispose]()
  await assert.rejects(body.read(1000), failed('reset'))
  await assert.rejects(client.get('/x', signal), failed('refused', /is closed/))
  assert.equal(server.calls.length, 1)
})
