import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:http'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { pino } from 'pino'
import { serveApi } from './api.ts'
import type {
  DeadLetterAdmin,
  DeadLetterFilter,
  DeadLetterSummary,
  ReplayRequest,
  ReplayResult,
} from './dead-letters.ts'
import { type SnapshotAdmin, SnapshotRefused } from './snapshots.ts'

const letter: DeadLetterSummary = {
  id: '7',
  sink: 'audit',
  code: 'rejected',
  reason: '400',
  attempts: 1,
  time: '2026-01-01T00:00:00.000Z',
  dataBytes: 10,
  attributes: { id: 'a', source: 's', type: 't' },
}

const snapshots: SnapshotAdmin = {
  async *request(query) {
    if (query.of === 'nothing')
      throw new SnapshotRefused(404, 'there is no source or stream nothing; there are all/pods')
    yield { stream: 'all/pods', sink: JSON.stringify(query), type: 'requested' }
    yield { stream: 'all/pods', sink: 'audit', type: 'aborted', cause: 'it was refused' }
  },
}

/** The bridge's side, as the test wants it. */
function fake(changes: Partial<DeadLetterAdmin> = {}) {
  const asked: (DeadLetterFilter | ReplayRequest)[] = []
  const admin: DeadLetterAdmin = {
    async list(filter) {
      asked.push(filter)
      return { store: { type: 'memory', events: 1, dropped: 0 }, items: [letter], next: undefined }
    },
    show: async (id) => (id === '7' ? { ...letter, data: '{"object":1}' } : undefined),
    async *replay(what) {
      asked.push(what)
      yield { id: '7', outcome: 'delivered' } satisfies ReplayResult
    },
    ...changes,
  }
  return {
    asked,
    serve: () => serveApi({ listen: '127.0.0.1:0', deadLetters: admin, snapshots, log: pino({ enabled: false }) }),
  }
}

interface Asked {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** Not fetch, which would set `host` and `sec-fetch-site` itself. */
async function ask(url: string, { method = 'GET', headers = {}, body }: Asked = {}) {
  const sent = request(url, { method, headers })
  sent.end(body)
  const [response] = await once(sent, 'response')
  return { status: Number(response.statusCode), headers: response.headers, body: await text(response) }
}

const path = '/api/v1/dead-letters'
const post = (body: unknown, headers: Readonly<Record<string, string>> = {}): Asked => ({
  method: 'POST',
  headers: { 'content-type': 'application/json', ...headers },
  body: typeof body === 'string' ? body : JSON.stringify(body),
})

test('dead letters can be listed page by page, and shown with their data', async () => {
  const { asked, serve } = fake()
  await using server = await serve()
  const list = await ask(`${server.url}${path}?sink=audit&after=3&limit=20`)
  assert.deepEqual([list.status, list.headers['cache-control']], [200, 'no-store'])
  assert.deepEqual(JSON.parse(list.body).items, [letter])
  await ask(`${server.url}${path}`)
  assert.deepEqual(asked, [
    { sink: 'audit', after: '3', limit: 20 },
    { sink: undefined, after: undefined, limit: 100 },
  ])
  assert.deepEqual(JSON.parse((await ask(`${server.url}${path}/7`)).body), { ...letter, data: '{"object":1}' })
  const missing = await ask(`${server.url}${path}/8`)
  assert.equal(missing.status, 404)
  assert.deepEqual(JSON.parse(missing.body), { error: 'there is no dead letter 8: it was delivered, or dropped' })
})

test('a replay tells of each event as soon as its fate is known', async () => {
  const second = Promise.withResolvers<void>()
  const { serve } = fake({
    async *replay() {
      yield { id: '1', outcome: 'delivered' }
      await second.promise
      yield { id: '2', outcome: 'refused', reason: 'no' }
    },
  })
  await using server = await serve()
  const response = await fetch(`${server.url}${path}/replay`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"all":true}',
  })
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  assert.equal((await reader?.read())?.value, '{"id":"1","outcome":"delivered"}\n')
  second.resolve()
  assert.equal((await reader?.read())?.value, '{"id":"2","outcome":"refused","reason":"no"}\n')
  assert.equal((await reader?.read())?.done, true)
})

test('who asks for a replay and goes away ends it', async () => {
  const aborted = Promise.withResolvers<void>()
  const { serve } = fake({
    async *replay(_, signal) {
      yield { id: '1', outcome: 'delivered' }
      signal.addEventListener('abort', () => aborted.resolve())
      await aborted.promise
    },
  })
  await using server = await serve()
  const sent = request(`${server.url}${path}/replay`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
  })
  sent.on('error', () => {})
  sent.end('{"all":true}')
  const [response] = await once(sent, 'response')
  await once(response, 'data')
  sent.destroy()
  await aborted.promise
})

test('a replay says what of: ids, a sink, or all, and nothing else', async () => {
  const { asked, serve } = fake()
  await using server = await serve()
  const replay = (body: unknown) => ask(`${server.url}${path}/replay`, post(body))
  for (const body of [{ ids: ['1', '2'] }, { sink: 'audit' }, { all: true }]) {
    assert.equal((await replay(body)).status, 200)
  }
  assert.deepEqual(asked, [{ type: 'ids', ids: ['1', '2'] }, { type: 'sink', sink: 'audit' }, { type: 'all' }])
  const bad = [{}, null, [], 'x', { all: false }, { ids: [1] }, { ids: [], sink: 'a' }, { all: true, also: 1 }, '{']
  for (const body of bad) assert.equal((await replay(body)).status, 400, JSON.stringify(body))
  assert.equal((await replay({ ids: ['x'.repeat(2 ** 20)] })).status, 413)
  assert.equal(asked.length, 3)
})

test('a snapshot that is asked for is told of line by line', async () => {
  const { serve } = fake()
  await using server = await serve()
  const asking = (body: unknown) => ask(`${server.url}/api/v1/snapshots`, post(body))
  const query = { of: 'all', sink: 'audit', namespaces: ['shop'], labelSelector: 'app in (a, b)', until: 'ended' }
  const { status, headers, body } = await asking(query)
  assert.deepEqual([status, headers['content-type']], [200, 'application/x-ndjson'])
  const lines = body.trim().split('\n')
  assert.deepEqual(JSON.parse(JSON.parse(lines[0] ?? '').sink), query)
  assert.deepEqual(JSON.parse(lines[1] ?? ''), {
    stream: 'all/pods',
    sink: 'audit',
    type: 'aborted',
    cause: 'it was refused',
  })
  assert.deepEqual(JSON.parse((await asking({ of: 'nothing' })).body), {
    error: 'there is no source or stream nothing; there are all/pods',
  })
})

test('a snapshot that nobody could mean is refused: what is written, and the place in a selector', async () => {
  const { serve } = fake()
  await using server = await serve()
  const wrong = [{}, { of: 1 }, { of: 'a', sink: 1 }, { of: 'a', namespaces: [] }, { of: 'a', namespaces: [1] }]
  for (const body of [...wrong, { of: 'a', until: 'now' }, { of: 'a', mode: 'full' }]) {
    const answer = await ask(`${server.url}/api/v1/snapshots`, post(body))
    assert.equal(answer.status, 400, JSON.stringify(body))
    assert.match(JSON.parse(answer.body).error, /^write \{"of": "SOURCE or STREAM"\}, with/)
  }
  const { status, body } = await ask(`${server.url}/api/v1/snapshots`, post({ of: 'a', labelSelector: 'app in web' }))
  assert.deepEqual(
    [status, JSON.parse(body).error],
    [400, 'label selector "app in web", column 8: "web" instead of "("'],
  )
  const refused = async (asked: object) =>
    JSON.parse((await ask(`${server.url}/api/v1/snapshots`, post({ of: 'a', ...asked }))).body).error
  assert.equal(await refused({ labelSelector: ' ' }), 'the label selector is empty: leave it out to have all objects')
  assert.match(
    await refused({ labelSelector: `a=${'b'.repeat(9_000)}` }),
    /^the label selector has 9002 characters; at most 8192/,
  )
  assert.equal(await refused({ namespaces: ['shop', 'BAD_NS'] }), '"BAD_NS" cannot be the name of a namespace')
  assert.equal(await refused({ namespaces: [''] }), '"" cannot be the name of a namespace')
})

test('other paths, methods and pages are refused in words', async () => {
  const { serve } = fake()
  await using server = await serve()
  const cases: [string, Asked, number, string][] = [
    ['/', {}, 404, 'not found; there are /api/v1/dead-letters and /api/v1/snapshots'],
    [path, { method: 'DELETE' }, 405, 'only GET'],
    [`${path}/replay`, {}, 405, 'only POST'],
    [`${path}?limit=0`, {}, 400, 'limit: not an integer from 1 to 1000'],
    [`${path}?limit=1001`, {}, 400, 'limit: not an integer from 1 to 1000'],
  ]
  for (const [where, how, status, error] of cases) {
    const answer = await ask(server.url + where, how)
    assert.deepEqual([answer.status, JSON.parse(answer.body)], [status, { error }], where)
  }
})

test('a page in a browser on this machine gets nothing: neither by a name that leads here nor by a form', async () => {
  const { asked, serve } = fake()
  await using server = await serve()
  const { port, host } = new URL(server.url)
  const reading: [Readonly<Record<string, string>>, number][] = [
    [{ host: 'localhost' }, 200],
    [{ host: `[::1]:${port}` }, 200],
    [{ host: `127.0.0.1:${port}`, origin: `http://127.0.0.1:${port}`, 'sec-fetch-site': 'same-origin' }, 200],
    [{ host: `evil.example:${port}` }, 403],
    [{ host: `localhost.evil.example:${port}` }, 403],
    [{ host: `127.0.0.1.evil.example:${port}` }, 403],
    [{ host, origin: 'http://evil.example' }, 403],
    [{ host, origin: 'null' }, 403],
    [{ host, origin: `https://${host}` }, 403],
    [{ host, 'sec-fetch-site': 'cross-site' }, 403],
    [{ host, 'sec-fetch-site': 'same-site' }, 403],
  ]
  for (const [headers, status] of reading) {
    assert.equal((await ask(`${server.url}${path}`, { headers })).status, status, JSON.stringify(headers))
  }
  const before = asked.length
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', '']) {
    const answer = await ask(`${server.url}${path}/replay`, post({ all: true }, { 'content-type': type }))
    assert.equal(answer.status, 403, type)
  }
  for (const headers of [{ host: 'evil.example' }, { origin: 'http://evil.example' }]) {
    assert.equal((await ask(`${server.url}${path}/replay`, post({ all: true }, headers))).status, 403)
  }
  assert.equal(asked.length, before, 'nothing was replayed')
})

test('a store that cannot be read is a 503 with its reason', async () => {
  const failing = async () => {
    throw new Error('the dead letters cannot be read: EACCES')
  }
  const { serve } = fake({ list: failing, show: failing })
  await using server = await serve()
  for (const where of [path, `${path}/7`]) {
    const { status, body } = await ask(server.url + where)
    assert.deepEqual([status, JSON.parse(body)], [503, { error: 'the dead letters cannot be read: EACCES' }])
  }
})

test('a port in use is an error that names the key', async () => {
  const { serve } = fake()
  await using server = await serve()
  const { host } = new URL(server.url)
  await assert.rejects(
    serveApi({
      listen: host,
      deadLetters: {} as DeadLetterAdmin,
      snapshots: {} as SnapshotAdmin,
      log: pino({ enabled: false }),
    }),
    {
      message: `admin.listen ${host}: the port is in use; set admin.listen to another one, or stop what uses it`,
    },
  )
})
