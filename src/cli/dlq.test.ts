import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pino } from 'pino'
import { serveApi } from '../admin/api.ts'
import type { DeadLetterAdmin, DeadLetterSummary, ReplayResult } from '../admin/dead-letters.ts'
import type { SnapshotAdmin } from '../admin/snapshots.ts'
import type { AdminEdge } from './admin-edge.ts'
import { list, replay, show } from './dlq.ts'
import { ExitCode } from './exit-code.ts'

function letter(id: string, changes: Partial<DeadLetterSummary> = {}): DeadLetterSummary {
  return {
    id,
    sink: 'audit',
    code: 'rejected',
    reason: '400 Bad Request',
    attempts: 1,
    time: '2026-01-01T00:00:00.123Z',
    dataBytes: 10,
    attributes: { id: `e${id}`, type: 'io.deltawire.object.updated.v1', resource: 'pods', subject: `shop/web-${id}` },
    ...changes,
  }
}

const marker = { type: 'io.deltawire.snapshot.begin.v1', stream: 'all/pods' }

const noSnapshots: SnapshotAdmin = {
  request() {
    throw new Error('nobody asks for one')
  },
}

/** A bridge with these dead letters. */
function bridge(letters: readonly DeadLetterSummary[], results: readonly ReplayResult[] = []) {
  const replays: unknown[] = []
  const deadLetters: DeadLetterAdmin = {
    async list({ sink, after = '0', limit }) {
      const found = letters.filter((one) => Number(one.id) > Number(after) && (sink ?? one.sink) === one.sink)
      const items = found.slice(0, limit)
      const next = items.length === limit ? items.at(-1)?.id : undefined
      return { store: { type: 'memory', events: letters.length, dropped: 2 }, items, next }
    },
    show: async (id) => {
      const found = letters.find((one) => one.id === id)
      return found && { ...found, data: '{"object":{"kind":"Pod"}}' }
    },
    async *replay(request) {
      replays.push(request)
      yield* results
    },
  }
  const serve = () =>
    serveApi({ listen: '127.0.0.1:0', deadLetters, snapshots: noSnapshots, log: pino({ enabled: false }) })
  return { serve, replays }
}

async function run(url: string, command: (edge: AdminEdge) => Promise<ExitCode>, output: AdminEdge['output'] = 'text') {
  const out: string[] = []
  const err: string[] = []
  const stdout = { write: (text: string) => out.push(text) }
  const stderr = { write: (text: string) => err.push(text) }
  const code = await command({ url, output, stdout, stderr, signal: new AbortController().signal })
  return { code, out: out.join(''), err: err.join('') }
}

test('dlq list is a table, with what one should know about the store', async () => {
  const long = letter('2', { sink: 'lambdas', code: 'lane-full', reason: 'x'.repeat(100), attributes: marker })
  await using server = await bridge([letter('1'), long]).serve()
  assert.deepEqual(await run(server.url, (edge) => list({ limit: 1000 }, edge)), {
    code: ExitCode.done,
    out: [
      'ID   SINK      TIME                   REASON                                                                    EVENT     OBJECT',
      '1    audit     2026-01-01T00:00:00Z   rejected: 400 Bad Request                                                 updated   pods shop/web-1',
      `2    lambdas   2026-01-01T00:00:00Z   lane-full: ${'x'.repeat(59)}…   begin     stream all/pods`,
      '',
    ].join('\n'),
    err: '2 dead letters; they are in memory, and lost when the bridge ends; 2 older ones were dropped since the start\n',
  })
  const { out, err } = await run(server.url, (edge) => list({ sink: 'other', limit: 1000 }, edge))
  assert.deepEqual([out, err.split(';')[0]], ['', 'no dead letters of sink other'])
})

test('dlq list reads page by page, up to its limit', async () => {
  const letters = Array.from({ length: 1_200 }, (_, index) => letter(`${index + 1}`))
  await using server = await bridge(letters).serve()
  const all = await run(server.url, (edge) => list({ limit: 5_000 }, edge), 'json')
  assert.deepEqual(
    all.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).id),
    letters.map(({ id }) => id),
  )
  const some = await run(server.url, (edge) => list({ limit: 700 }, edge))
  assert.equal(some.out.trim().split('\n').length, 701)
  assert.match(some.err, /^700 dead letters, and there are more: raise --limit/)
})

test('dlq show prints the event with its data, as JSON that people can read, or in a line', async () => {
  await using server = await bridge([letter('1')]).serve()
  const { code, out } = await run(server.url, (edge) => show('1', edge))
  assert.equal(code, ExitCode.done)
  const { sink, reason, event } = JSON.parse(out)
  assert.deepEqual([sink, reason], ['audit', '400 Bad Request'])
  assert.deepEqual([event.id, event.data], ['e1', { object: { kind: 'Pod' } }])
  assert.equal((await run(server.url, (edge) => show('1', edge), 'json')).out.trim().split('\n').length, 1)
  assert.deepEqual(await run(server.url, (edge) => show('9', edge)), {
    code: ExitCode.failed,
    out: '',
    err: `${server.url}: there is no dead letter 9: it was delivered, or dropped\n`,
  })
})

test('dlq replay has a line for each event, and fails unless all were delivered', async () => {
  const { attributes } = letter('1')
  const about = { letter: { sink: 'audit', attributes } }
  const results: ReplayResult[] = [
    { id: '1', outcome: 'delivered', ...about },
    { id: '2', outcome: 'refused', reason: 'its name is taken again', ...about },
    { id: '3', outcome: 'missing' },
  ]
  const { serve, replays } = bridge([], results)
  await using server = await serve()
  assert.deepEqual(await run(server.url, (edge) => replay({ ids: ['1', '2', '3'], all: false }, edge)), {
    code: ExitCode.failed,
    out: [
      '1  delivered  updated pods shop/web-1 to audit',
      '2  refused  updated pods shop/web-1 to audit: its name is taken again',
      '3  not there',
      '',
    ].join('\n'),
    err: '1 delivered, 1 refused, 1 not there\n',
  })
  assert.deepEqual(replays, [{ type: 'ids', ids: ['1', '2', '3'] }])
  const json = await run(server.url, (edge) => replay({ ids: [], sink: 'audit', all: false }, edge), 'json')
  assert.deepEqual([json.out.split('\n').length, json.err], [4, ''])
})

test('dlq replay of nothing is done', async () => {
  await using server = await bridge([]).serve()
  const nothing = await run(server.url, (edge) => replay({ ids: [], all: true }, edge))
  assert.deepEqual(nothing, { code: ExitCode.done, out: '', err: 'nothing to replay\n' })
})

test('what to replay is said, once', async () => {
  for (const options of [
    { ids: [], all: false },
    { ids: ['1'], all: true },
    { ids: ['1'], sink: 'a', all: false },
  ]) {
    const { code, err } = await run('http://127.0.0.1:1', (edge) => replay(options, edge))
    assert.equal(code, ExitCode.usage)
    assert.match(err, /^say what to replay/)
  }
})

test('nobody answers, or somebody else does: that is said with what to look at', async () => {
  const { url } = await closed()
  const { code, out, err } = await run(url, (edge) => list({ limit: 1 }, edge))
  assert.deepEqual([code, out], [ExitCode.failed, ''])
  assert.equal(err, `${url}: no answer (ECONNREFUSED): is the bridge running, and is admin.listen this address?\n`)
  const typo = await run('localhost:8090', (edge) => list({ limit: 1 }, edge))
  assert.deepEqual(
    [typo.code, typo.err],
    [ExitCode.usage, '--url: not an absolute URL such as http://127.0.0.1:8090\n'],
  )
})

async function closed() {
  await using server = await bridge([]).serve()
  return { url: server.url }
}
