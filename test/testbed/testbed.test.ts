import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readlinkSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { get } from 'node:https'
import { createServer } from 'node:net'
import { basename, dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { eventually } from '../support/eventually.ts'
import { AdminClient } from './admin-client.ts'
import { startApiServer, type TestApiServer } from './api-server.ts'
import type { RecordedChange } from './recorder.ts'

const configMaps = '/api/v1/namespaces/default/configmaps'
const configMap = (name: string, value: string) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data: { value },
})

let server: TestApiServer

before(async () => {
  server = await startApiServer()
})

after(async () => {
  await server?.[Symbol.asyncDispose]()
})

interface WatchLine {
  readonly type: string
  readonly object: {
    readonly code?: number
    readonly metadata: { readonly name?: string; readonly uid?: string; readonly resourceVersion?: string }
  }
}

/** What a watch of the API server itself tells, from a version on, until it has nothing more for a second. */
async function watched(path: string, from: bigint): Promise<readonly WatchLine[]> {
  const url = `${server.url}${path}?watch=true&resourceVersion=${from}&timeoutSeconds=1`
  const headers = { authorization: `Bearer ${server.token('admin')}` }
  const [response] = (await once(get(url, { ca: server.ca, headers, agent: false }), 'response')) as [IncomingMessage]
  const lines = (await text(response)).split('\n').filter((line) => line !== '')
  return lines.map((line) => JSON.parse(line) as WatchLine)
}

const line = ({ type, object, uid, resourceVersion }: RecordedChange) =>
  `${type} ${object.metadata.name} ${uid} ${resourceVersion}`

test('the history that is recorded is that of the API server, deletions and names taken again included', async () => {
  const from = await server.revision()
  const recorder = await server.record()
  const exists = new Set<string>()
  // 50 writes of 3 names: each is created, updated, deleted, and again
  for (let write = 0; write < 50; write++) {
    const name = `random-${write % 3}`
    if (!exists.has(name)) {
      await server.admin.create(configMaps, configMap(name, String(write)))
      exists.add(name)
    } else if (write % 5 === 0) {
      await server.admin.delete(`${configMaps}/${name}`)
      exists.delete(name)
    } else {
      await server.admin.patch(`${configMaps}/${name}`, { data: { value: String(write) } })
    }
  }
  const recorded = await recorder.until(await server.revision(), 'configmaps/default/random-')
  const types: Readonly<Record<string, string>> = { ADDED: 'created', MODIFIED: 'updated', DELETED: 'deleted' }
  const told = (await watched(configMaps, from)).map(({ type, object: { metadata } }) => {
    return `${types[type]} ${metadata.name} ${metadata.uid} ${metadata.resourceVersion}`
  })
  assert.deepEqual(recorded.map(line), told)
  assert.equal(recorded.length, 50)
  assert.ok(recorded.filter(({ type }) => type === 'deleted').length >= 5)
  assert.ok(new Set(recorded.map(({ uid }) => uid)).size > 3, 'a name was taken again')
})

test('a crash and a compaction lose no data and no history, and older versions are gone', async () => {
  const recorder = await server.record()
  const first = await server.admin.create(configMaps, configMap('kept', '1'))
  const second = await server.admin.replace(`${configMaps}/kept`, configMap('kept', '2'))
  const pid = server.pid
  await server.kill()
  await server.compact()
  await server.start()
  assert.notEqual(server.pid, pid)
  assert.deepEqual((await server.admin.get(`${configMaps}/kept`)).data, { value: '2' })
  const third = await server.admin.patch(`${configMaps}/kept`, { data: { value: '3' } })
  await server.admin.delete(`${configMaps}/kept`)
  const changes = await recorder.until(await server.revision(), 'configmaps/default/kept')
  const { uid } = first.metadata
  assert.deepEqual(
    changes.map(({ type, uid, resourceVersion }) => ({ type, uid, resourceVersion })),
    [
      { type: 'created', uid, resourceVersion: first.metadata.resourceVersion },
      { type: 'updated', uid, resourceVersion: second.metadata.resourceVersion },
      { type: 'updated', uid, resourceVersion: third.metadata.resourceVersion },
      { type: 'deleted', uid, resourceVersion: changes[3]?.resourceVersion },
    ],
  )
  const [expired] = await watched(configMaps, BigInt(first.metadata.resourceVersion ?? 0))
  assert.deepEqual([expired?.type, expired?.object.code], ['ERROR', 410])
})

test('a recorder that asks for what is compacted away says so', async () => {
  const from = await server.revision()
  await server.admin.create(configMaps, configMap('forgotten', '1'))
  await server.compact()
  const recorder = await server.record(from)
  await assert.rejects(recorder.until(await server.revision()), /compacted up to/)
})

test('a server that is stopped starts again on its port; one whose port is taken says why it cannot', async () => {
  await server.stop()
  const port = Number(new URL(server.url).port)
  const squatter = createServer((socket) => socket.destroy()).listen(port, '127.0.0.1')
  await once(squatter, 'listening')
  await assert.rejects(server.start(), /the program has ended.*address already in use/s)
  await once(squatter.close(), 'close')
  await server.start()
  assert.ok(await server.admin.get('/readyz'))
})

test('who is unknown is told apart from who lacks a right, and a right that is granted holds', async () => {
  await using limited = new AdminClient(server.url, server.token('limited'), () => server.ca)
  await using unknown = new AdminClient(server.url, server.token('unknown'), () => server.ca)
  await assert.rejects(limited.get(configMaps), { status: 403 })
  await assert.rejects(unknown.get(configMaps), { status: 401 })
  await server.admin.grant('limited', '', 'configmaps')
  await eventually(() => limited.get(configMaps), { what: 'the right is granted' })
})

/** Pids of what runs in the folder. Processes that have ended, reaped or not, are in none. */
function processesIn(folder: string): readonly string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false
    try {
      return readlinkSync(`/proc/${pid}/cwd`).startsWith(folder)
    } catch {
      return false // it has ended meanwhile
    }
  })
}

async function firstLine(child: ChildProcess, matches: RegExp): Promise<string> {
  assert.ok(child.stdout)
  for await (const printed of createInterface({ input: child.stdout })) {
    const [, found] = matches.exec(printed) ?? []
    if (found !== undefined) return found
  }
  throw new Error(`it never printed ${matches}`)
}

test('nothing is left of a test run that was killed', async () => {
  const code = [
    `import { startApiServer } from ${JSON.stringify(new URL('api-server.ts', import.meta.url).href)}`,
    'const server = await startApiServer()',
    'console.log(await server.kubeconfig())',
    'setInterval(() => {}, 1000)',
  ]
  const args = ['--input-type=module', '-e', code.join('\n')]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const folder = dirname(await firstLine(child, /^(\/.*)/))
  const programs = processesIn(folder).map((pid) => basename(readlinkSync(`/proc/${pid}/exe`)))
  assert.deepEqual(programs.sort(), ['etcd', 'kube-apiserver'])
  child.kill('SIGKILL')
  await eventually(() => processesIn(folder).length === 0, { what: 'its programs have ended' })
  await eventually(() => !existsSync(folder), { what: 'its folder is removed' })
})

test('npm run testbed prints a kubeconfig that works, and Ctrl-C leaves nothing', async () => {
  const script = join(import.meta.dirname, '../../scripts/testbed.ts')
  const child = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exit = once(child, 'exit')
  const kubeconfig = await firstLine(child, /export KUBECONFIG=(.*)/)
  const folder = dirname(kubeconfig)
  assert.equal(processesIn(folder).length, 2)
  assert.ok(existsSync(kubeconfig))
  child.kill('SIGINT')
  assert.deepEqual(await exit, [0, null])
  assert.deepEqual([processesIn(folder), existsSync(folder)], [[], false])
})
