/** The cluster that tests run the product in: what it can do, and that nothing of it stays. */
import assert from 'node:assert/strict'
import { type ExecFileException, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { basename, join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { eventually } from '../support/eventually.ts'
import { type Cluster, startCluster } from '../testbed/cluster/cluster.ts'
import { descendants, isRunning, tracesOn } from '../testbed/cluster/traces.ts'
import { use } from '../testbed/component.ts'
import { nodeSystem } from '../testbed/node-components.ts'

test('a cluster runs pods, they reach its API server and this machine, and in the end nothing is left', async (t) => {
  const system = await use(nodeSystem)
  const before = await tracesOn(system)
  const started = performance.now()
  const report = (step: string) => t.diagnostic(`${((performance.now() - started) / 1000).toFixed(1)} s: ${step}`)
  const cluster = await startCluster({ report })
  let during = before
  try {
    await t.test('two replicas of a Deployment become Ready', async () => {
      await cluster.kubectl('create', 'deployment', 'web', `--image=${cluster.image}`, '--replicas=2')
      await cluster.kubectl('rollout', 'status', 'deployment/web', '--timeout=60s')
      report('2 replicas are Ready')
    })
    await t.test('exec and logs work', async () => {
      assert.equal(await cluster.kubectl('exec', 'deployment/web', '--', 'echo', 'hello'), 'hello\n')
      await cluster.kubectl('create', 'job', 'talker', `--image=${cluster.image}`, '--', 'echo', 'said by a pod')
      await cluster.kubectl('wait', '--for=condition=complete', 'job/talker', '--timeout=60s')
      assert.equal(await cluster.kubectl('logs', 'job/talker'), 'said by a pod\n')
    })
    await t.test('a pod reaches a server on this machine, by the address of the cluster', () => reachesMachine(cluster))
    await t.test('nothing beyond this machine is reached from a pod, and no name of it is resolved', async () => {
      const inPod = (...command: readonly string[]) =>
        assert.rejects(cluster.kubectl('exec', 'deployment/web', '--', ...command), (error: ExecFileException) => {
          report(error.message.split('\n').slice(1, 2).join())
          return /No route to host|Network is unreachable|REFUSED/.test(`${error.message} ${error.stdout}`)
        })
      await inPod('nc', '-w', '10', '203.0.113.1', '80')
      await inPod('nslookup', 'example.com.')
    })
    await t.test('a pod finds a service by its name', async () => {
      await cluster.kubectl('expose', 'deployment/web', '--port=80')
      const lookup = ['exec', 'deployment/web', '--', 'nslookup', 'web.default.svc.cluster.local']
      const address = await cluster.kubectl('get', 'service', 'web', '--output=jsonpath={.spec.clusterIP}')
      await eventually(async () => (await cluster.kubectl(...lookup)).includes(address), { what: 'the name resolves' })
    })
    await t.test('a pod uses the API server with its service account, and has its rights', () => usesApi(cluster))
    await t.test('etcd tells the history of the cluster', async () => {
      await using recorder = await cluster.record(1n)
      const changes = await recorder.until(await cluster.revision(), 'pods/default/web-')
      assert.equal(changes.filter(({ type }) => type === 'created').length, 2)
    })
    report('all of it was tried')

    during = await tracesOn(system)
    assert.deepEqual(during.machine, before.machine, 'while it runs it changes nothing that is not its own')
    assert.ok(during.own.some((path) => path.startsWith('/sys/class/net/deltawire ')))
    assert.ok(during.own.filter((path) => path.startsWith('/sys/fs/cgroup/')).length > 0)
  } finally {
    const processes = descendants(process.pid)
    const names = new Set(processes.map(({ file }) => basename(file)))
    for (const name of ['kubelet', 'etcd', 'containerd-shim-runc-v2', 'busybox']) assert.ok(names.has(name), name)
    await cluster[Symbol.asyncDispose]()
    report(`${processes.length} processes have ended`)
    assert.deepEqual(processes.filter(isRunning), [])
  }
  const { own, machine } = await tracesOn(system)
  assert.deepEqual(machine, before.machine)
  assert.deepEqual(
    own.filter((path) => during.own.includes(path)),
    [],
  )
})

test('a cluster ends with the process that started it, even if that is killed, and the next one starts as ever', async () => {
  const system = await use(nodeSystem)
  const before = await tracesOn(system)
  const script = join(import.meta.dirname, '../../scripts/cluster.ts')
  const starter = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] })
  for await (const line of createInterface({ input: starter.stdout })) if (line.includes('pods can be created')) break
  const { pid } = starter
  assert.ok(pid !== undefined)
  const processes = descendants(pid)
  assert.ok(processes.some(({ file }) => basename(file) === 'kubelet'))
  const { own } = await tracesOn(system)
  starter.kill('SIGKILL')
  await once(starter, 'exit')

  await eventually(() => !processes.some(isRunning), { what: 'all processes of the cluster have ended' })
  const left = async () => {
    const after = await tracesOn(system)
    return after.own.filter((path) => own.includes(path) && path.startsWith('/sys/'))
  }
  await eventually(async () => (await left()).length === 0, { what: 'its network and its cgroups are gone' })
  assert.deepEqual((await tracesOn(system)).machine, before.machine)

  {
    await using again = await startCluster()
    assert.equal(await again.kubectl('get', 'pods', '--output=name'), '')
    await again.kubectl('run', 'one', `--image=${again.image}`)
    await again.kubectl('wait', '--for=condition=Ready', 'pod/one', '--timeout=60s')
  }
  const { own: last } = await tracesOn(system)
  assert.deepEqual(
    last.filter((path) => own.includes(path)),
    [],
    'the next one has removed the files of the killed one',
  )
})

async function reachesMachine(cluster: Cluster): Promise<void> {
  const server = createServer((request, response) => response.end(`${request.method} ${request.url}`))
  server.listen(0, cluster.address)
  await once(server, 'listening')
  try {
    const address = server.address()
    assert.ok(typeof address === 'object' && address !== null)
    const url = `http://${cluster.address}:${address.port}/from-a-pod`
    const got = await cluster.kubectl('exec', 'deployment/web', '--', 'wget', '-q', '-O-', url)
    assert.equal(got, 'GET /from-a-pod')
  } finally {
    server.close()
    server.closeAllConnections()
  }
}

/** With the node's own kubectl, which takes address and token from where every client in a pod does. */
async function usesApi(cluster: Cluster): Promise<void> {
  const from = (path: string) => ({ name: basename(path), hostPath: { path } })
  const at = (path: string) => ({ name: basename(path), mountPath: path, readOnly: true })
  const folders = ['/usr', '/lib', '/lib64', '/opt/kubernetes']
  await cluster.admin.create('/api/v1/namespaces/default/pods', {
    metadata: { name: 'client' },
    spec: {
      volumes: folders.map(from),
      containers: [{ name: 'client', image: cluster.image, volumeMounts: folders.map(at) }],
    },
  })
  await cluster.kubectl('wait', '--for=condition=Ready', 'pod/client', '--timeout=60s')
  const list = () => cluster.kubectl('exec', 'client', '--', '/opt/kubernetes/kubectl', 'get', 'pods', '--output=name')
  await assert.rejects(list, /User "system:serviceaccount:default:default" cannot list resource "pods"/)
  await cluster.kubectl('create', 'rolebinding', 'viewer', '--clusterrole=view', '--serviceaccount=default:default')
  const pods = await list()
  assert.match(pods, /^pod\/client$/m)
  assert.equal(pods.match(/^pod\/web-/gm)?.length, 2)
}
