/** What is particular to this sink; what all must do is in contract.test.ts. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { pino } from 'pino'
import { DeliveryError, type SecretReference, type Sink, type SinkContext } from '../../src/delivery/sink.ts'
import type { Infer } from '../../src/lib/json-schema.ts'
import { ManualClock } from '../../src/lib/manual-clock.ts'
import { event } from '../contract-kit.ts'
import { HttpTarget } from './http-target.ts'
import { sink } from './index.ts'
import { one, two } from './test-certificates.ts'

type Config = Infer<typeof sink.schema>

const defaults: Config = {
  url: 'https://receiver.test/',
  mode: 'structured',
  insecureHttp: false,
  headers: {},
  tls: {},
  network: { allow: [], deny: [] },
}

function make(config: Partial<Config>, context: Partial<SinkContext> = {}): Sink {
  return sink.create(
    { ...defaults, ...config },
    {
      name: 'hook',
      clock: new ManualClock(),
      logger: pino({ enabled: false }),
      stdout: process.stdout,
      secret: () => Promise.resolve('hunter2'),
      ...context,
    },
  )
}

const loopback = { insecureHttp: true, network: { allow: ['127.0.0.0/8'], deny: [] } }

function at(target: HttpTarget, path = '/events', scheme = 'http'): Partial<Config> {
  return { ...loopback, url: `${scheme}://127.0.0.1:${target.port}${path}` }
}

const signal = new AbortController().signal

/** The code and message of the failure of one event; undefined if it was delivered. */
async function attempt(hook: Sink, id = '1'): Promise<readonly [string, string] | undefined> {
  try {
    const [failure] = await hook.deliver([event({ id })], { signal })
    return failure && [failure.error.code, failure.error.message]
  } catch (error) {
    if (error instanceof DeliveryError) return [error.code, error.message]
    throw error
  }
}

test('structured: one POST to the very URL, with the media type of CloudEvents and the configured headers', async () => {
  await using target = await HttpTarget.start()
  await using hook = make({ ...at(target, '/in/k8s?tenant=a%20b'), headers: { 'X-Team': 'shop' } })
  assert.equal(await attempt(hook), undefined)
  const [request] = target.requests
  assert.equal(request?.line, 'POST /in/k8s?tenant=a%20b HTTP/1.1')
  assert.equal(request?.headers['content-type'], 'application/cloudevents+json')
  assert.equal(request?.headers['x-team'], 'shop')
  assert.equal(request?.headers.authorization, undefined)
  assert.equal(request?.headers['content-length'], `${Buffer.byteLength(request?.body ?? '')}`)
})

test('binary: an event without data goes out structured, because a body is never empty', async () => {
  await using target = await HttpTarget.start()
  await using hook = make({ ...at(target), mode: 'binary' })
  await hook.deliver([event({ id: '1' })], { signal })
  await hook.deliver([{ ...event({ id: '2' }), data: undefined, dataBytes: 0 }], { signal })
  assert.deepEqual(
    target.requests.map(({ headers }) => headers['content-type']),
    ['application/json', 'application/cloudevents+json'],
  )
  assert.ok(target.requests.every(({ body }) => body.length > 0))
})

test('authentication: bearer and basic, from the reference, without the line end of a file', async () => {
  await using target = await HttpTarget.start()
  const secret = () => Promise.resolve('hunter2\n')
  await using bearer = make({ ...at(target), auth: { bearer: { env: 'TOKEN' } } }, { secret })
  await using basic = make({ ...at(target), auth: { basic: { username: 'jo', password: { file: '/p' } } } }, { secret })
  await attempt(bearer)
  await attempt(basic)
  assert.deepEqual(
    target.requests.map(({ headers }) => headers.authorization),
    ['Bearer hunter2', 'Basic am86aHVudGVyMg=='],
  )
})

test('S10 a replaced credential is used after ten seconds, or as soon as the old one is refused', async () => {
  await using target = await HttpTarget.start()
  const clock = new ManualClock()
  let reads = 0
  const secret = () => Promise.resolve(`v${++reads}`)
  await using hook = make({ ...at(target), auth: { bearer: { env: 'TOKEN' } } }, { clock, secret })
  await attempt(hook)
  await attempt(hook)
  target.fail('401')
  assert.deepEqual(await attempt(hook), ['unauthorized', `127.0.0.1:${target.port} answered 401`])
  await attempt(hook)
  await clock.advance(10_001)
  await attempt(hook)
  assert.deepEqual(
    target.requests.map(({ headers }) => headers.authorization),
    ['v1', 'v1', 'v1', 'v2', 'v3'].map((token) => `Bearer ${token}`),
  )
})

test('P8 a credential that cannot be had, or cannot be a header, is named but not shown; nothing is sent', async () => {
  await using target = await HttpTarget.start()
  const auth = { bearer: { file: '/run/token' } }
  const missing = () => Promise.reject(new Error('file /run/token cannot be read: ENOENT'))
  await using first = make({ ...at(target), auth }, { secret: missing })
  assert.deepEqual(await attempt(first), ['unauthorized', 'auth.bearer: file /run/token cannot be read: ENOENT'])
  for (const value of ['', 'hun\nter2', 'hünter2']) {
    await using second = make({ ...at(target), auth }, { secret: () => Promise.resolve(value) })
    const expected = 'auth.bearer: the credential is empty or holds characters that no header may'
    assert.deepEqual(await attempt(second), ['unauthorized', expected])
  }
  assert.equal(target.attempts(), 0)
})

for (const name of [
  'Cookie',
  'X-Api-Key',
  'apikey',
  'x-gitlab-token',
  'X-Auth-User',
  'x-hub-secret',
  'x-password',
  'x-functions-key',
  'x-amz-security-token',
]) {
  test(`P8 the header ${name} is a credential: as a text it is refused, a reference is resolved`, async () => {
    assert.throws(
      () => make({ headers: { [name]: 'canary' } }),
      (error: Error) =>
        error.message ===
        `headers: ${name} is a credential, which is never written into the configuration; write { env: NAME } or { file: PATH }`,
    )
    await using target = await HttpTarget.start()
    const headers = { [name]: { env: 'KEY' }, 'x-team': 'shop' }
    await using hook = make({ ...at(target), headers }, { secret: () => Promise.resolve('hunter2\n') })
    assert.equal(await attempt(hook), undefined)
    const [request] = target.requests
    assert.equal(request?.headers[name.toLowerCase()], 'hunter2')
    assert.equal(request?.headers['x-team'], 'shop')
  })
}

test('S10 P8 a credential in a header is read again when it is refused; what cannot be had is named, not shown', async () => {
  await using target = await HttpTarget.start()
  const values = ['old', 'new', 'hun\nter2']
  const secret = () => Promise.resolve(values.shift() ?? '')
  const headers = { 'x-api-key': { file: '/run/key' } }
  await using hook = make({ ...at(target), headers }, { secret })
  target.fail('403')
  assert.deepEqual(await attempt(hook), ['unauthorized', `127.0.0.1:${target.port} answered 403`])
  target.fail('401')
  await attempt(hook)
  const expected = 'headers.x-api-key: the credential is empty or holds characters that no header may'
  assert.deepEqual(await attempt(hook), ['unauthorized', expected])
  assert.deepEqual(
    target.requests.map((request) => request.headers['x-api-key']),
    ['old', 'new'],
  )
})

test('a redirect is never followed', async () => {
  await using target = await HttpTarget.start()
  await using elsewhere = await HttpTarget.start()
  await using hook = make(at(target))
  for (const status of ['301', '302', '307', '308']) {
    target.fail(`${status} location: http://127.0.0.1:${elsewhere.port}/`)
    assert.deepEqual(await attempt(hook), ['rejected', `127.0.0.1:${target.port} answered ${status}`])
  }
  assert.equal(elsewhere.attempts(), 0)
})

test('the status decides: an answer that is long or breaks off is delivered all the same', async () => {
  await using target = await HttpTarget.start()
  await using hook = make(at(target))
  target.raw('HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\nit says more than anybody reads')
  assert.equal(await attempt(hook), undefined)
  await target.until(() => target.connections() === 0)
  target.raw('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nx')
  assert.equal(await attempt(hook), undefined)
  await target.restart()
  assert.equal(await attempt(hook), undefined)
})

test('the status decides at once: nobody waits for an answer that never ends, its connection is closed after a second', async () => {
  await using target = await HttpTarget.start()
  const clock = new ManualClock()
  await using hook = make(at(target), { clock })
  for (const length of ['transfer-encoding: chunked', 'content-length: 100', 'connection: close']) {
    target.raw(`HTTP/1.1 200 OK\r\n${length}\r\n\r\n`)
    assert.equal(await attempt(hook), undefined, length)
    target.raw(`HTTP/1.1 429 Slower\r\nretry-after: 7\r\n${length}\r\n\r\n`)
    const [failure] = await hook.deliver([event({ id: '1' })], { signal })
    assert.deepEqual([failure?.error.code, failure?.error.retryAfterMs], ['throttled', 7000], length)
    assert.equal(target.connections(), 2, length)
    await clock.advance(1000)
    await target.until(() => target.connections() === 0)
  }
})

test('P7 answers that never end hold a bounded number of connections, and do not hold up the end', async () => {
  await using target = await HttpTarget.start()
  const hook = make(at(target))
  for (let n = 0; n < 100; n++) {
    target.raw('HTTP/1.1 500 Oops\r\ntransfer-encoding: chunked\r\n\r\n')
    assert.equal((await attempt(hook))?.[0], 'failed')
  }
  await target.until(() => target.connections() <= 64)
  await hook[Symbol.asyncDispose]()
  await target.until(() => target.connections() === 0)
})

test('connections are used again after answers that were read to their end', async () => {
  await using target = await HttpTarget.start()
  await using hook = make(at(target))
  for (const status of ['200', '500', '422', '503', '200', '500', '422', '503']) {
    target.fail(status)
    await attempt(hook)
  }
  assert.ok(target.connections() <= 2, `${target.connections()}: the next one may open before the last one is idle`)
})

test('as many connections are opened as there are requests at a time, and no more', async () => {
  await using target = await HttpTarget.start()
  await using hook = make(at(target))
  const one = async (lane: number) => {
    for (let number = 0; number < 20; number++) assert.equal(await attempt(hook, `${lane}-${number}`), undefined)
  }
  await Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map(one))
  assert.equal(target.received().length, 160)
  assert.equal(target.connections(), 8)
})

test('an answer that is no HTTP means that the sink is unavailable, and is not repeated in the error', async () => {
  await using target = await HttpTarget.start()
  await using hook = make(at(target))
  target.raw('SSH-2.0-canary\r\n\r\n')
  const caught = await hook.deliver([event({ id: '1' })], { signal }).catch((error: unknown) => error)
  assert.ok(caught instanceof DeliveryError)
  assert.equal(caught.code, 'unavailable')
  assert.ok(!inspect(caught, { depth: 9, showHidden: true }).includes('canary'))
})

test('errors name host and port, never the path or query of the URL', async () => {
  await using target = await HttpTarget.start()
  await using hook = make(at(target, '/services/T0/canary?key=canary'))
  target.fail('500')
  const messages = [await attempt(hook)]
  await target.stop()
  messages.push(await attempt(hook))
  assert.deepEqual(messages, [
    ['failed', `127.0.0.1:${target.port} answered 500`],
    ['unavailable', `127.0.0.1:${target.port} cannot be reached: ECONNREFUSED`],
  ])
})

test('a configuration that cannot work is refused with the key and the way out', () => {
  const cases: [Partial<Config>, RegExp][] = [
    [{ url: 'receiver.test/canary' }, /^url: not an absolute URL with https; write it like/],
    [{ url: 'ftp://receiver.test/canary' }, /^url: not an absolute URL/],
    [
      { url: 'http://receiver.test/?canary' },
      /^url: http is readable for everybody on the way; use https, or set insecureHttp/,
    ],
    [{ url: 'https://jo:canary@receiver.test/' }, /^url: holds a user name or password; use auth instead$/],
    [{ url: 'https://127.0.0.1/' }, /^url: 127.0.0.1 is loopback.*: network: \{ allow: \[127.0.0.1\/32\] \}$/],
    [
      { url: 'http://127.0.0.1/' },
      /^url: http is readable .*, or set insecureHttp: true; and 127.0.0.1 is loopback.*\[127.0.0.1\/32\] \}$/,
    ],
    [{ url: 'https://[::1]/' }, /^url: ::1 is loopback.*: network: \{ allow: \["::1\/128"\] \}$/],
    [{ url: 'https://0x7f.1/' }, /^url: 127.0.0.1 is loopback/],
    [{ network: { allow: ['all'], deny: [] } }, /^network.allow: "all" is no CIDR/],
    [
      { headers: { Authorization: 'canary' } },
      /^headers: Authorization is a credential, .*; use auth, or write \{ env: NAME \} or \{ file: PATH \}$/,
    ],
    [
      { headers: { Authorization: { env: 'A' } }, auth: { bearer: { env: 'B' } } },
      /^headers: authorization is set by auth; remove one of them$/,
    ],
    [{ headers: { 'X-Team': 'a', 'x-team': { env: 'B' } } }, /^headers: x-team is there twice; keep one$/],
    [{ headers: { 'CE-id': '1' } }, /^headers: CE-id is set/],
    [{ headers: { 'Content-Type': 'text/plain' } }, /^headers: Content-Type is set/],
    [{ headers: { host: 'x' } }, /^headers: host is set/],
    [{ headers: { 'x y': '1' } }, /^headers: "x y" is no header name$/],
    [{ headers: { 'x-a': 'canary\r\nx-b: 1' } }, /^headers: the value of x-a holds characters that no header may$/],
    [{ tls: { cert: { file: '/c.pem' } } }, /^tls: cert and key go together/],
  ]
  for (const [config, message] of cases) {
    assert.throws(
      () => make(config),
      (error: Error) => message.test(error.message) && !error.message.includes('canary'),
      inspect(config),
    )
  }
})

test('a name that leads to a denied address is not dialled, whatever it is called', async () => {
  await using target = await HttpTarget.start()
  await using hook = make({ url: `http://localhost:${target.port}/`, insecureHttp: true })
  const denied = /^localhost must not be dialled: (127.0.0.1|::1) is loopback/
  await assert.rejects(
    hook.connect(signal),
    (error: DeliveryError) => error.code === 'unavailable' && denied.test(error.message),
  )
  const [code, message = ''] = (await attempt(hook)) ?? []
  assert.equal(code, 'unavailable')
  assert.match(message, denied)
  assert.equal(target.connections(), 0)
})

test('S2 connect honours abort while the other side never finishes the handshake', async () => {
  await using target = await HttpTarget.start()
  await using hook = make(at(target, '/', 'https'))
  const controller = new AbortController()
  const connecting = hook.connect(controller.signal)
  await target.until(() => target.connections() === 1)
  controller.abort(new Error('enough'))
  await assert.rejects(connecting, /^Error: enough$/)
  await target.until(() => target.connections() === 0)
})

const read = async (reference: SecretReference) => ('file' in reference ? await readFile(reference.file, 'utf8') : '')

test('S10 TLS: an unknown authority is refused; a replaced ca file is used without a restart', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'deltawire-'))
  try {
    const ca = join(folder, 'ca.pem')
    await using target = await HttpTarget.start(one)
    await using untrusting = make(at(target, '/', 'https'))
    assert.deepEqual(await attempt(untrusting), [
      'unavailable',
      `127.0.0.1:${target.port} cannot be reached: DEPTH_ZERO_SELF_SIGNED_CERT: no authority that is trusted here has signed its certificate; set tls.ca`,
    ])
    await using hook = make({ ...at(target, '/', 'https'), tls: { ca: { file: ca } } }, { secret: read })
    const [code, message = ''] = (await attempt(hook)) ?? []
    assert.equal(code, 'unavailable')
    assert.match(message, /^tls\.ca: ENOENT/)
    await writeFile(ca, two.cert)
    await assert.rejects(hook.connect(signal), { code: 'unavailable' })
    await writeFile(ca, one.cert)
    await hook.connect(signal)
    assert.equal(await attempt(hook), undefined)
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('TLS: the client shows its certificate to a receiver that asks for one', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'deltawire-'))
  try {
    const files = { ca: join(folder, 'ca.pem'), cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') }
    const tls = { ca: { file: files.ca }, cert: { file: files.cert }, key: { file: files.key } }
    await writeFile(files.ca, one.cert)
    await writeFile(files.cert, two.cert)
    await writeFile(files.key, two.key)
    await using target = await HttpTarget.start({ ...one, ca: two.cert, requestCert: true, rejectUnauthorized: true })
    await using anonymous = make({ ...at(target, '/', 'https'), tls: { ca: { file: files.ca } } }, { secret: read })
    assert.equal((await attempt(anonymous))?.[0], 'unavailable')
    await using known = make({ ...at(target, '/', 'https'), tls }, { secret: read })
    await known.connect(signal)
    assert.equal(await attempt(known), undefined)
  } finally {
    await rm(folder, { recursive: true })
  }
})
