/** What may become of a state on its disk: an error that helps, or a start that makes up for it; a copy is right afterwards. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, type TestContext, test } from 'node:test'
import { append, openJournal, temporaryFolder } from '../../src/journal/testing/kit.ts'
import { startCluster } from '../e2e/support/stand.ts'
import type { TestApiServer } from '../testbed/api-server.ts'
import { newSeed } from './support/fault-stand.ts'
import { StateStand } from './support/state-stand.ts'

let server: TestApiServer
before(async () => {
  server = await startCluster([])
})
after(() => server[Symbol.asyncDispose]())

let cases = 0
const start = (t: TestContext, path: string) =>
  StateStand.start({ server, namespace: `case-${++cases}`, path, seed: newSeed(t) })

async function logIn(path: string): Promise<string> {
  const names = (await readdir(path)).filter((name) => name.endsWith('.log')).sort()
  return join(path, names.at(-1) ?? '')
}

async function flip(path: string, where: (size: number) => number): Promise<void> {
  const file = await logIn(path)
  const bytes = await readFile(file)
  const at = where(bytes.length)
  bytes.writeUInt8(bytes.readUInt8(at) ^ 0x04, at)
  await writeFile(file, bytes)
}

interface Damage {
  readonly name: string
  readonly inflict: (path: string) => Promise<void>
  /** What the log says. */
  readonly told: RegExp
}

const CHANGED = /^the state has changed on the disk, or another version wrote it: .* each gets a full snapshot; /
const CUT = /^the end of the state is gone from the disk: .* each gets a full snapshot$/

const damages: readonly Damage[] = [
  { name: 'bit flipped in the middle', inflict: (path) => flip(path, (size) => Math.floor(size * 0.7)), told: CHANGED },
  { name: 'bit flipped in the tail', inflict: (path) => flip(path, (size) => size - 3), told: CHANGED },
  {
    name: 'end cut off',
    async inflict(path) {
      const file = await logIn(path)
      const { size } = await stat(file)
      await truncate(file, Math.floor(size * 0.7))
    },
    told: CUT,
  },
  {
    name: 'end written by another version',
    async inflict(path) {
      await using journal = await openJournal(path, { segmentBytes: 2 ** 20 })
      await append(journal, '[2,["all/pods"]]')
    },
    told: CHANGED,
  },
]

for (const { name, inflict, told } of damages) {
  test(`F40 state with its ${name}: it is told, each stream has a gap and a full snapshot, and a copy is right`, async (t) => {
    await using folder = await temporaryFolder()
    await using stand = await start(t, folder.path)
    await stand.bridge.end('SIGKILL')
    await inflict(folder.path)
    await stand.write(60)
    const since = stand.receiver.events.length
    await stand.startBridge()
    await stand.bridge.ready()
    await stand.write(40) // no snapshot begins before the position that the server had at the start is passed
    await stand.announced(since)
    await stand.copied()
    const lines = (await stand.told()).filter(({ type }) => type !== 'torn')
    assert.deepEqual(
      lines.map(({ level, path }) => [level, path]),
      [['error', folder.path]],
    )
    assert.match(lines[0]?.message ?? '', told)
  })
}

test('F40 state whose end is gone, and the history with it: what was deleted meanwhile does not stay in a copy; the next start is in order', async (t) => {
  await using folder = await temporaryFolder()
  await using stand = await start(t, folder.path)
  await stand.bridge.end('SIGKILL')
  const file = await logIn(folder.path)
  await truncate(file, Math.floor((await stat(file)).size * 0.7))
  await stand.write(60)
  await server.compact()
  await server.kill()
  await server.start()
  const since = stand.receiver.events.length
  await stand.startBridge()
  await stand.announced(since)
  await stand.copied()
  assert.equal(await stand.bridge.end('SIGTERM'), 0)
  await stand.write(20)
  await stand.startBridge()
  await stand.bridge.ready()
  await stand.copied()
  assert.deepEqual([await stand.told(), new Set(await stand.rungs())], [[], new Set(['replay'])])
})

test('F40 a state that is gone is a first start: full snapshots', async (t) => {
  await using folder = await temporaryFolder()
  await using stand = await start(t, folder.path)
  await stand.bridge.end('SIGKILL')
  for (const name of await readdir(folder.path)) await rm(join(folder.path, name))
  await stand.write(60)
  await stand.startBridge()
  await stand.bridge.ready()
  await stand.copied()
  assert.deepEqual(new Set(await stand.rungs()), new Set(['announce']))
})

test('a folder that another process uses is named, nothing is sent, and it goes on when that one has ended', async (t) => {
  await using folder = await temporaryFolder()
  await using stand = await start(t, folder.path)
  await using second = await stand.startSecond()
  await stand.untilProblem(/^\/.+ is in use by another process: each needs a folder of its own$/, second)
  const before = stand.receiver.events.length
  assert.equal(await stand.bridge.end('SIGTERM'), 0)
  await stand.write(40)
  await stand.copied()
  assert.ok(stand.receiver.events.length > before)
  const lines = (await second.log()).filter(({ rung }) => rung !== undefined)
  assert.deepEqual(new Set(lines.map(({ rung }) => rung)), new Set(['replay']))
})

/** Only root may mount one; without, the same is shown on a disk that fails on purpose, beside the store. */
const mayMount = process.getuid?.() === 0

async function onSmallDisk(work: (path: string) => Promise<void>): Promise<void> {
  await using folder = await temporaryFolder()
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'deltawire-test', folder.path])
  try {
    await work(folder.path)
  } finally {
    execFileSync('umount', [folder.path])
  }
}

/** Until there is room for nothing more. */
async function fill(file: string): Promise<void> {
  const page = Buffer.alloc(4_096, 'x')
  await assert.rejects(async () => {
    for (;;) await writeFile(file, page, { flag: 'a' })
  }, /ENOSPC/)
}

if (mayMount) {
  test('F39 while its disk is full a stream waits, says so and what helps, also after a kill; then it goes on by itself', (t) =>
    onSmallDisk(async (path) => {
      await using stand = await start(t, path)
      const ballast = join(path, 'ballast')
      await fill(ballast)
      await stand.write(60)
      const full = /^\/.+: the disk has no room \(ENOSPC\): make room, or give its volume more$/
      await stand.untilProblem(full)
      assert.equal((await stand.bridge.get('/readyz')).status, 200, 'another pod would not do better')
      assert.ok((await stand.told()).some(({ level }) => level === 'error'))
      await stand.bridge.end('SIGKILL')
      await stand.write(30)
      await stand.startBridge()
      await stand.untilProblem(full)
      await rm(ballast)
      await stand.copied()
      const { body } = await stand.bridge.get('/readyz')
      assert.doesNotMatch(body, / state: /)
      assert.deepEqual(new Set(await stand.rungs()), new Set(['replay']))
      assert.equal(await stand.bridge.end('SIGTERM'), 0)
    }))

  test('F40 state on a disk that is read-only is waited for, and named with the way out', (t) =>
    onSmallDisk(async (path) => {
      await using stand = await start(t, path)
      await stand.bridge.end('SIGKILL')
      execFileSync('mount', ['-o', 'remount,ro', path])
      await stand.write(40)
      await stand.startBridge()
      await stand.untilProblem(
        /^\/.+ cannot be used \(EROFS: .+\): it must be a folder that this process may read and write$/,
      )
      execFileSync('mount', ['-o', 'remount,rw', path])
      await stand.copied()
      assert.deepEqual(new Set(await stand.rungs()), new Set(['replay']))
      await stand.bridge.end('SIGKILL')
    }))
}
