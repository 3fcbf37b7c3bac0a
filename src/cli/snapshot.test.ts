import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pino } from 'pino'
import { serveApi } from '../admin/api.ts'
import type { DeadLetterAdmin } from '../admin/dead-letters.ts'
import { type SnapshotAdmin, type SnapshotLine, SnapshotRefused } from '../admin/snapshots.ts'
import type { AdminEdge } from './admin-edge.ts'
import { ExitCode } from './exit-code.ts'
import { snapshot } from './snapshot.ts'

const of = { stream: 'workloads/pods', sink: 'audit' } as const
const began = { ...of, type: 'began', snapshotId: 'workloads/pods:b7Qm2x', mode: 'full' } as const

/** Asks a bridge that answers with these lines, and `ending` for who waits. */
async function run(options: Parameters<typeof snapshot>[1], ending: readonly SnapshotLine[], output = 'text' as const) {
  const queries: unknown[] = []
  const snapshots: SnapshotAdmin = {
    async *request(query) {
      queries.push(query)
      if (query.of !== 'workloads') throw new SnapshotRefused(404, 'there is no source or stream x; there are a, b')
      yield { ...of, type: 'requested' }
      yield { ...of, sink: 'slow', type: 'requested' }
      yield began
      if (query.until === 'ended') yield* ending
    },
  }
  const deadLetters = {} as DeadLetterAdmin // nobody asks for one
  await using server = await serveApi({
    listen: '127.0.0.1:0',
    deadLetters,
    snapshots,
    log: pino({ enabled: false }),
  })
  const out: string[] = []
  const err: string[] = []
  const edge: AdminEdge = {
    url: server.url,
    output,
    stdout: { write: (text: string) => out.push(text) },
    stderr: { write: (text: string) => err.push(text) },
    signal: new AbortController().signal,
  }
  const code = await snapshot(options.sink === 'x' ? 'x' : 'workloads', options, edge)
  return { code, queries, out: out.join(''), err: err.join('').replace(server.url, 'URL') }
}

test('who does not wait is told what has begun, and what begins later', async () => {
  const options = { namespace: ['shop', 'pay'], selector: 'app=web', sink: 'audit', wait: false }
  assert.deepEqual(await run(options, []), {
    code: ExitCode.done,
    queries: [
      { of: 'workloads', sink: 'audit', namespaces: ['shop', 'pay'], labelSelector: 'app=web', until: 'began' },
    ],
    out: [
      'workloads/pods to audit: began workloads/pods:b7Qm2x',
      'workloads/pods to slow: requested; it begins when what is running has ended, the sink has room and the stream is up to date',
      '',
    ].join('\n'),
    err: '',
  })
})

test('who waits is told how each has ended, and the command fails if one was aborted', async () => {
  const completed = { ...of, type: 'completed', items: 1, members: 'ab', state: 'cd' } as const
  const part = { ...of, sink: 'slow', type: 'completed', items: 2 } as const
  const done = await run({ wait: true }, [completed, { ...began, sink: 'slow', mode: 'part' }, part])
  assert.deepEqual(
    [done.code, done.out.split('\n').slice(1, -1)],
    [
      ExitCode.done,
      [
        'workloads/pods to audit: complete, 1 item, members ab, state cd',
        'workloads/pods to slow: began workloads/pods:b7Qm2x (part)',
        'workloads/pods to slow: complete, 2 items',
      ],
    ],
  )
  const failed = await run({ wait: true }, [completed, { ...part, type: 'aborted', cause: 'it was refused' }])
  assert.deepEqual(
    [failed.code, failed.out.split('\n').at(-2)],
    [ExitCode.failed, 'workloads/pods to slow: aborted: it was refused'],
  )
})

test('a selector or a namespace that cannot be one is a wrong argument', async () => {
  const { code, out, err } = await run({ selector: 'app in web', wait: true }, [])
  assert.deepEqual([code, out], [ExitCode.usage, ''])
  assert.match(err, /^URL: .*column/)
  assert.equal((await run({ namespace: ['Shop'], wait: true }, [])).code, ExitCode.usage)
})

test('what there is not is an error in the words of the bridge', async () => {
  const { code, out, err } = await run({ sink: 'x', wait: true }, [])
  assert.deepEqual([code, out], [ExitCode.failed, ''])
  assert.equal(err, 'URL: there is no source or stream x; there are a, b\n')
})
