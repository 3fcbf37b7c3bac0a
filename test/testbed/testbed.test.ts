import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readlinkSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { httpBinary, structured } from '../../src/events/index.ts'
import { eventually } from '../support/eventually.ts'
import { AdminClient, AdminError } from './admin-client.ts'
import { startApiServer } from './api-server.ts'
import { startReceiver } from './receiver.ts'

const configMap = (name: string, value: string) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data: { value },
})
const configMaps = '/api/v1/namespaces/default/configmaps'

test("etcd's history has every version, also over a crash of the API server and a compaction", async () => {
  await using server = await startApiServer()
  const recorder = await server.record()
  const written: string[] = []
  const note = (
    type: string,
    { metadata }: { readonly metadata: { readonly uid?: string; readonly resourceVersion?: string } },
  ) => written.push(`${type} ${metadata.uid} ${metadata.resourceVersion}`)
  note('created', await server.admin.create(configMaps, configMap('a', '1')))
  note('updated', await server.admin.replace(`${configMaps}/a`, configMap('a', '2')))
  await server.kill()
  await server.compact()
  await server.start()
  note('updated', await server.admin.patch(`${configMaps}/a`, { data: { value: '3' } }))
  await server.admin.delete(`${configMaps}/a`)
  const deletedAt = await server.revision()
  note('created', await server.admin.create(configMaps, configMap('a', '4')))
  const changes = await recorder.until(await server.revision(), 'configmaps/default/a')
  const seen = changes.map(({ type, uid, resourceVersion }) => `${type} ${uid} ${resourceVersion}`)
  assert.deepEqual(
    seen.filter((line) => !line.startsWith('deleted')),
    written,
  )
  const deletion = changes.find(({ type }) => type === 'deleted')
  assert.deepEqual([deletion?.uid, deletion?.resourceVersion], [changes[0]?.uid, String(deletedAt)])
  const watch = `${configMaps}?watch=true&resourceVersion=${changes[0]?.resourceVersion}&timeoutSeconds=1`
  await assert.rejects(
    server.admin.get(watch).then((answer) => {
      // a watch that starts too far back is refused as a status or as its first frame
      assert.equal((answer as { readonly type?: string }).type, 'ERROR')
      throw new AdminError(410, 'in the stream')
    }),
    { status: 410 },
  )
})

test('a user without rights is refused, and served once a role is bound', async () => {
  await using server = await startApiServer()
  await using limited = new AdminClient(server.url, server.token('limited'), () => server.ca)
  await assert.rejects(limited.get(configMaps), { status: 403 })
  await server.admin.grant('limited', '', 'configmaps')
  await eventually(() => limited.get(configMaps), { what: 'the right is granted' })
})

test('nothing is left of a test run that was killed', async () => {
  const code = [
    `import { startApiServer } from ${JSON.stringify(new URL('api-server.ts', import.meta.url).href)}`,
    'const server = await startApiServer()',
    'console.log(server.pid)',
    'setInterval(() => {}, 1000)',
  ]
  const child = spawn(process.execPath, ['--input-type=module', '-e', code.join('\n')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout })
  const [line] = (await once(lines, 'line')) as [string]
  const program = () => readlinkSync(`/proc/${Number(line)}/exe`)
  assert.match(program(), /kube-apiserver/)
  child.kill('SIGKILL')
  const ended = () => {
    try {
      program()
      return false
    } catch {
      return true
    }
  }
  await eventually(ended, { what: 'kube-apiserver has ended' })
})

test('the receiver decodes both modes with the SDK for Python', async () => {
  await using receiver = await startReceiver()
  const attributes = {
    specversion: '1.0',
    id: 'u1:7',
    source: 'kubernetes://prod/api/v1/pods',
    type: 'io.deltawire.object.added.v1',
    datacontenttype: 'application/json',
    dataschema: 'urn:deltawire:schema:object:v1',
    time: '2026-01-01T00:00:00Z',
    subject: 'shop/naïve "x" % 😀',
  } as const
  const data = '{"object":{"kind":"Pod"}}'
  const binary = httpBinary(attributes, data)
  const requests = [
    { headers: { 'content-type': 'application/cloudevents+json' }, body: structured(attributes, data) },
    { headers: binary.headers, body: binary.body ?? '' },
  ]
  for (const { headers, body } of requests) {
    const response = await fetch(receiver.url, { method: 'POST', headers, body })
    assert.equal(response.status, 204)
  }
  const events = await receiver.events()
  assert.deepEqual(
    events.map(({ id, subject, data: received }) => ({ id, subject, data: received })),
    Array.from({ length: 2 }, () => ({
      id: 'u1:7',
      subject: 'shop/naïve "x" % 😀',
      data: { object: { kind: 'Pod' } },
    })),
  )
  assert.deepEqual(await receiver.modes(), new Set(['structured', 'binary']))
})
