/** Who the bridge is and what it may do change while it runs: on a real API server, whose tokens and roles are real. */
import assert from 'node:assert/strict'
import { copyFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { FaultyReceiver } from '../e2e/support/faulty-receiver.ts'
import { startCluster, webhook } from '../e2e/support/stand.ts'
import { eventually } from '../support/eventually.ts'
import type { TestObject } from '../testbed/admin-client.ts'
import type { TestApiServer } from '../testbed/api-server.ts'
import { Workspace } from '../testbed/workspace.ts'
import { FaultStand, newSeed, retry } from './support/fault-stand.ts'
import { writeKubeconfig } from './support/kubeconfig.ts'
import { Way } from './support/way.ts'

const namespaces = ['rights', 'rotated', 'expired', 'ca'] as const
let server: TestApiServer
let way: Way
let workspace: Workspace

before(async () => {
  server = await startCluster(namespaces)
  way = await Way.to(server.url)
  workspace = await Workspace.create('rights')
})
after(async () => {
  await way?.[Symbol.asyncDispose]()
  await workspace?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
})

const kubeconfigFor = (name: string, user: object, ca = server.caFile) =>
  writeKubeconfig(join(workspace.folder, `${name}.kubeconfig`), { server: `https://127.0.0.1:${way.port}`, ca, user })

/** The states that the log has told of the streams. */
const streamStates = async (stand: FaultStand) =>
  (await stand.bridge.log()).flatMap(({ key, state }) => (String(key).startsWith('stream ') ? [String(state)] : []))

test('F20 rights that are taken away and given back while it runs: what happened meanwhile arrives as if nothing had been', async (t) => {
  await using receiver = await FaultyReceiver.start()
  await server.admin.grant('limited', '', 'pods', 'configmaps')
  await server.admin.grant('limited', 'example.com', 'widgets')
  const kubeconfig = await kubeconfigFor('limited', { token: server.token('limited') })
  const sinks = [webhook('receiver', receiver.url, { retry, queue: { whenFull: 'block' } })]
  await using stand = await FaultStand.start(sinks, { server, namespace: 'rights', kubeconfig, seed: newSeed(t) })
  const bindings = '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings'
  const { metadata: _, ...binding } = await server.admin.get(`${bindings}/limited-core-pods-configmaps`)
  await stand.write(40)
  await server.admin.delete(`${bindings}/limited-core-pods-configmaps`)
  way.cut() // a watch that is open outlives the right to open it
  await stand.write(40)
  const isTold = async () =>
    /stream all\/pods\/rights.*degraded.*forbidden/.test((await stand.bridge.get('/readyz')).body)
  await eventually(isTold, { what: 'it says what it may not do' })
  assert.equal((await stand.bridge.get('/readyz')).status, 200, 'a restart would help nobody')
  await server.admin.create(bindings, { ...binding, metadata: { name: 'limited-core-pods-configmaps' } })
  const result = await stand.arrived(() => receiver.events)
  t.diagnostic(JSON.stringify(result))
  assert.deepEqual([result.delivered, result.gaps], [result.versions, 0])
  await stand.endsInOrder('receiver')
})

/** A service account that may read all, and tokens of it that end when they are told to. */
async function serviceAccount(namespace: string) {
  const { admin } = server
  await admin.create(`/api/v1/namespaces/${namespace}/serviceaccounts`, { metadata: { name: 'bridge' } })
  await admin.create('/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
    metadata: { name: `${namespace}-bridge` },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ kind: 'ServiceAccount', name: 'bridge', namespace }],
  })
  const secrets = `/api/v1/namespaces/${namespace}/secrets`
  return {
    /** Bound to a Secret of this name. */
    token: async (name: string): Promise<string> => {
      const { metadata } = await admin.create(secrets, { metadata: { name } })
      const boundObjectRef = { kind: 'Secret', apiVersion: 'v1', name, uid: metadata.uid }
      const path = `/api/v1/namespaces/${namespace}/serviceaccounts/bridge/token`
      const { status } = (await admin.create(path, {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: { boundObjectRef },
      })) as TestObject & { readonly status: { readonly token: string } }
      return status.token
    },
    /** Tokens that are bound to it are refused from now on; the server is started again, since it remembers who was let in. */
    end: async (name: string): Promise<void> => {
      await admin.delete(`${secrets}/${name}`)
      way.hold()
      await server.kill()
      await server.start()
      way.release()
    },
  }
}

/** As the kubelet does: what reads the file sees the one or the other. */
async function replaceFile(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text)
  await rename(`${file}.new`, file)
}

/** Reads its token from a file, as in a pod. */
const fromFile = (tokenFile: string) => ({ 'auth-provider': { name: 'tokenFile', config: { tokenFile } } })

test('F21 a token that was rotated: the first call that is refused is made again with the new one, and nobody notices', async (t) => {
  await using receiver = await FaultyReceiver.start()
  const account = await serviceAccount('rotated')
  const file = join(workspace.folder, 'rotated-token')
  await writeFile(file, await account.token('first'))
  const kubeconfig = await kubeconfigFor('rotated', fromFile(file))
  const sinks = [webhook('receiver', receiver.url, { retry, queue: { whenFull: 'block' } })]
  await using stand = await FaultStand.start(sinks, { server, namespace: 'rotated', kubeconfig, seed: newSeed(t) })
  await stand.write(40)
  await replaceFile(file, await account.token('second'))
  await account.end('first')
  await stand.write(40)

  t.diagnostic(JSON.stringify(await stand.arrived(() => receiver.events)))
  assert.ok(!(await streamStates(stand)).includes('unauthorized'))
  await stand.endsInOrder('receiver')
})

test('F22 a token that is refused: 401 is told, the new one is used as soon as it is there, and nothing is lost', async (t) => {
  await using receiver = await FaultyReceiver.start()
  const account = await serviceAccount('expired')
  const file = join(workspace.folder, 'expired-token')
  const first = await account.token('first')
  await writeFile(file, first)
  const kubeconfig = await kubeconfigFor('expired', fromFile(file))
  const sinks = [webhook('receiver', receiver.url, { retry, queue: { whenFull: 'block' } })]
  await using stand = await FaultStand.start(sinks, { server, namespace: 'expired', kubeconfig, seed: newSeed(t) })
  await stand.write(40)
  await account.end('first')
  await stand.write(40)
  const isTold = async () => /stream all\/pods\/expired.*degraded.*401/.test((await stand.bridge.get('/readyz')).body)
  await eventually(isTold, { what: 'it says that it is not known' })
  assert.ok((await streamStates(stand)).includes('unauthorized'))
  const second = await account.token('second')
  await replaceFile(file, second)

  t.diagnostic(JSON.stringify(await stand.arrived(() => receiver.events)))
  await stand.copied(() => receiver.events)
  const output = await stand.bridge.output()
  for (const token of [first, second]) assert.ok(!output.includes(token), 'no token is told')
  await stand.endsInOrder('receiver')
})

test('F23 a server with a certificate of another CA is not talked to, and is as soon as that CA is there', async (t) => {
  await using receiver = await FaultyReceiver.start()
  const ca = join(workspace.folder, 'ca.crt')
  await copyFile(server.caFile, ca)
  const kubeconfig = await kubeconfigFor('ca', { token: server.token('admin') }, ca)
  const sinks = [webhook('receiver', receiver.url, { retry })]
  await using stand = await FaultStand.start(sinks, { server, namespace: 'ca', kubeconfig, seed: newSeed(t) })
  await stand.write(40)
  way.hold()
  await server.kill()
  await rm(dirname(server.caFile), { recursive: true }) // it makes a new one
  await server.start()
  way.release()
  await stand.write(40)
  const isTold = async () =>
    /stream all\/pods\/ca.*degraded.*certificate/.test((await stand.bridge.get('/readyz')).body)
  await eventually(isTold, { what: 'it says that the certificate is not known' })
  await replaceFile(ca, server.ca)

  t.diagnostic(JSON.stringify(await stand.arrived(() => receiver.events)))
  await stand.copied(() => receiver.events)
  await stand.endsInOrder('receiver')
})
