import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Copy, dataSchemas, eventTypes } from '../events/index.ts'
import { ExitCode } from './exit-code.ts'
import { type VerifyCopyOptions, verifyCopy } from './verify-copy.ts'

interface Line {
  readonly key: string
  readonly uid: string
  readonly resourceVersion: string
}

const web: Line = { key: 'shop/web', uid: 'a1', resourceVersion: '41' }
const node: Line = { key: 'node-7', uid: 'b2', resourceVersion: '7' }
const job: Line = { key: 'shop/job', uid: 'c3', resourceVersion: '9' }
const about = { source: 'kubernetes://prod-eu/api/v1/pods', stream: 'all/pods' }

function digest(texts: readonly string[]): string {
  let sum = 0n
  for (const text of texts) sum += BigInt(`0x${createHash('sha256').update(text).digest('hex')}`)
  return (sum % (1n << 256n)).toString(16).padStart(64, '0')
}

const members = (...objects: readonly Line[]) => digest(objects.map(({ key, uid }) => `${key}:${uid}`))
const state = (...objects: readonly Line[]) =>
  digest(objects.map(({ key, uid, resourceVersion }) => `${key}:${uid}:${resourceVersion}`))

/** The end of a snapshot that held these. */
function end(objects: readonly Line[], more: object = {}) {
  const digests = { members: members(...objects), state: state(...objects) }
  return {
    specversion: '1.0',
    id: 'all/pods:x:end',
    ...about,
    type: eventTypes.snapshotEnd,
    dataschema: dataSchemas.snapshot,
    sequence: '00000000000000000050',
    snapshotid: 'all/pods:x',
    data: { snapshot: { mode: 'full', items: objects.length, deadLettered: 0, ...digests, ...more } },
  }
}

const linesOf = (objects: readonly unknown[]) => objects.map((object) => `${JSON.stringify(object)}\n`).join('')

/** With `copy` on standard input, in small pieces. `endEvent`: what the file of --end holds. */
async function run(copy: string, options: VerifyCopyOptions, endEvent?: unknown) {
  const folder = await mkdtemp(join(tmpdir(), 'deltawire-verify-'))
  try {
    const file = join(folder, 'end.json')
    if (endEvent !== undefined)
      await writeFile(file, typeof endEvent === 'string' ? endEvent : JSON.stringify(endEvent))
    const bytes = Buffer.from(copy)
    async function* stdin() {
      for (let at = 0; at < bytes.length; at += 7) yield bytes.subarray(at, at + 7)
    }
    const out: string[] = []
    const err: string[] = []
    const code = await verifyCopy(endEvent === undefined ? options : { ...options, end: file }, {
      stdin,
      stdout: { write: (text) => out.push(text) },
      stderr: { write: (text) => err.push(text) },
    })
    return { code, out: out.join(''), err: err.join('').replaceAll(file, 'end.json') }
  } finally {
    await rm(folder, { recursive: true })
  }
}

const equal = (out: string) => ({ code: ExitCode.done, out, err: '' })
const wrong = (err: string) => ({ code: ExitCode.usage, out: '', err: `${err}\n` })

test('a copy that holds what the end says is equal, in any order of its lines', async () => {
  assert.deepEqual(
    await run(linesOf([node, web]), {}, end([web, node])),
    equal('equal: 2 items, the same members and state\n'),
  )
})

test('an empty copy equals an empty snapshot', async () => {
  const zeros = '0'.repeat(64)
  assert.deepEqual(
    await run('', { members: zeros, state: zeros, items: '0' }),
    equal('equal: 0 items, the same members and state\n'),
  )
})

test('the end may be its data alone, as the body of an event in binary mode', async () => {
  const { data } = end([web])
  assert.deepEqual(await run(linesOf([web]), {}, data), equal('equal: 1 item, the same members and state\n'))
})

test('an end without a digest of versions compares members alone, and asks for no versions', async () => {
  const copy = linesOf([{ key: web.key, uid: web.uid }])
  const said = equal('equal: 1 item, the same members\n')
  assert.deepEqual(await run(copy, {}, end([web], { state: undefined })), said)
  assert.deepEqual(await run(copy, { members: members(web) }), said)
})

test('lines that were written when the resource was served in another version are of the same stream', async () => {
  const before = {
    ...web,
    source: 'kubernetes://prod-eu/apis/apps/v1beta1/deployments',
    stream: 'all/deployments.apps',
  }
  const after = {
    ...end([web]),
    source: 'kubernetes://prod-eu/apis/apps/v1/deployments',
    stream: 'all/deployments.apps',
  }
  assert.equal((await run(linesOf([before]), {}, after)).code, ExitCode.done)
})

test('an object too many differs, with the digests of both', async () => {
  assert.deepEqual(await run(linesOf([web, node]), {}, end([web])), {
    code: ExitCode.failed,
    out: [
      'differs: 2 items, 1 more than there are',
      `          COPY${' '.repeat(63)}END`,
      `items     2${' '.repeat(66)}1${' '.repeat(66)}differs`,
      `members   ${members(web, node)}   ${members(web)}   differs`,
      `state     ${state(web, node)}   ${state(web)}   differs`,
      '',
    ].join('\n'),
    err: '',
  })
})

test('what differs is said: too few, others, other versions', async () => {
  const first = async (copy: readonly Line[], options: VerifyCopyOptions, event?: unknown) => {
    const { code, out } = await run(linesOf(copy), options, event)
    assert.equal(code, ExitCode.failed)
    return out.split('\n')[0]
  }
  assert.equal(await first([web], {}, end([web, node, job])), 'differs: 1 item, 2 fewer than there are')
  assert.equal(await first([web], {}, end([job])), 'differs: 1 item, but not the same objects')
  const newer = { ...web, resourceVersion: '42' }
  assert.equal(await first([newer], {}, end([web])), 'differs: the same objects, but other versions of them')
  assert.equal(
    await first([web], {}, end([web, node], { deadLettered: 1 })),
    'differs: 1 item, 1 fewer than there are; 1 dead letter may be why',
  )
  assert.equal(await first([job], { members: members(web) }), 'differs: 1 item, but not the same objects')
})

test('what Copy holds is a copy; of several streams the one of the end is compared', async () => {
  const copy = new Copy()
  for (const [stream, { key, uid, resourceVersion }] of [
    ['all/pods', web],
    ['other/pods', node],
  ] as const) {
    const attributes = {
      specversion: '1.0',
      id: `${uid}:${resourceVersion}`,
      source: about.source,
      type: eventTypes.added,
      datacontenttype: 'application/json',
      dataschema: dataSchemas.object,
      time: '2026-01-01T00:00:00Z',
      subject: key,
      uid,
      cluster: 'prod-eu',
      stream,
      resourceversion: resourceVersion,
      sequence: resourceVersion.padStart(20, '0'),
    } as const
    copy.apply({ attributes, data: { object: { kind: 'Pod' } } })
  }
  const lines = linesOf([...copy.objects()])
  assert.deepEqual(
    await run(lines, {}, end([web])),
    equal('equal: 1 item, the same members and state; 1 line of other streams left out\n'),
  )
  assert.deepEqual(
    await run(lines, {}, end([web]).data),
    wrong(
      'standard input, line 2: of another stream than the lines before it, and digests are of one stream: ' +
        'give --end with the whole event, which names its stream, or only the lines of one',
    ),
  )
})

test('a line that is wrong is named by its number, and never quoted', async () => {
  const cases: readonly (readonly [line: string, message: string])[] = [
    ['{"key":"hunter2"', 'not JSON'],
    ['["hunter2"]', 'not a JSON object'],
    ['{"uid":"a1","resourceVersion":"1"}', 'key is missing'],
    ['{"key":"shop/web","uid":1,"resourceVersion":"1"}', 'uid is not a text'],
    ['{"key":"shop/web","uid":"","resourceVersion":"1"}', 'uid is not a text'],
    [
      '{"key":"shop/web","uid":"a1"}',
      'resourceVersion is missing, which the state is made of: leave --state out to compare members alone',
    ],
    [JSON.stringify({ ...web, uid: node.uid }), 'its uid is on a line before it too'],
  ]
  for (const [line, message] of cases) {
    const copy = `${linesOf([node])}\n${line}\n${linesOf([job])}`
    assert.deepEqual(await run(copy, {}, end([web])), wrong(`standard input, line 3: ${message}`))
  }
})

test('options that cannot be compared with are refused', async () => {
  const hex = members(web)
  const cases: readonly (readonly [options: VerifyCopyOptions, message: string])[] = [
    [{}, 'say what to compare with: --end FILE, or --members HEX with --state HEX and --items NUMBER'],
    [{ members: hex.slice(1) }, '--members: not a digest of 64 lower-case hexadecimal digits'],
    [{ members: hex, state: hex.toUpperCase() }, '--state: not a digest of 64 lower-case hexadecimal digits'],
    [{ members: hex, items: '-1' }, '--items: not a number'],
    [{ end: 'end.json', items: '1' }, '--end: not together with --members, --state or --items, which it holds'],
    [{ end: 'nowhere/end.json' }, 'nowhere/end.json: it cannot be read (ENOENT)'],
    [{ members: hex, file: 'nowhere/copy' }, 'nowhere/copy: it cannot be read (ENOENT)'],
  ]
  for (const [options, message] of cases) assert.deepEqual(await run('', options), wrong(message))
})

test('an end that nothing can be compared with is refused, with the reason', async () => {
  const noData = 'not the end of a snapshot, which has data.snapshot.items: see docs/events.md, "Data"'
  const cases: readonly (readonly [event: unknown, message: string])[] = [
    ['{', 'not JSON'],
    [[], 'not a CloudEvent of Deltawire: an event is a JSON object'],
    [{ snapshot: {} }, noData],
    [
      { ...end([web]), type: eventTypes.snapshotBegin },
      `an event of type ${eventTypes.snapshotBegin}, not ${eventTypes.snapshotEnd}`,
    ],
    [{ ...end([web]), source: undefined }, 'not a CloudEvent of Deltawire: source is missing'],
    [end([web], { members: 'x' }), 'members: not a digest of 64 lower-case hexadecimal digits'],
    [
      end([web], { members: undefined, state: undefined }),
      'this end has no digest, because a route to its sink leaves types out: there is nothing to compare with',
    ],
    [
      end([web], { members: undefined, mode: 'part' }),
      'this end has no digest, because its snapshot held a part of the view: there is nothing to compare with',
    ],
  ]
  for (const [event, message] of cases) {
    const { code, out, err } = await run(linesOf([web]), {}, event)
    assert.deepEqual({ code, out, err }, wrong(`end.json: ${message}`))
  }
})

test('the command reads standard input or a file, and its exit code tells equal, differs and wrong apart', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'deltawire-verify-'))
  try {
    const file = join(folder, 'copy.ndjson')
    await writeFile(file, linesOf([web]))
    const main = join(import.meta.dirname, '../main.ts')
    const command = (args: readonly string[], input = '') => {
      const done = Promise.withResolvers<readonly [code: number | null, out: string]>()
      const child = execFile(process.execPath, [main, 'verify-copy', ...args], (_, stdout) =>
        done.resolve([child.exitCode, stdout.split('\n')[0] ?? '']),
      )
      child.stdin?.end(input)
      return done.promise
    }
    const digests = ['--members', members(web), '--state', state(web), '--items', '1']
    const same = 'equal: 1 item, the same members and state'
    assert.deepEqual(await command(digests, linesOf([web])), [0, same])
    assert.deepEqual(await command(['--file', file, ...digests]), [0, same])
    assert.deepEqual(await command(digests), [1, 'differs: 0 items, 1 fewer than there are'])
    assert.deepEqual(await command(digests, 'x'), [2, ''])
  } finally {
    await rm(folder, { recursive: true })
  }
})
