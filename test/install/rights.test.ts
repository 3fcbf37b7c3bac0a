/** S5: the pod of the chart may do exactly what its configuration needs, on a real cluster that admits nothing less. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { eventually } from '../support/eventually.ts'
import { type Cluster, startCluster } from '../testbed/cluster/cluster.ts'
import { helm4 } from '../testbed/helm.ts'
import { productImage } from '../testbed/image.ts'
import { Helm } from './support/helm.ts'

const NAMESPACE = 'deltawire'
const RELEASE = 'rights'
const ACCOUNT = `system:serviceaccount:${NAMESPACE}:${RELEASE}-deltawire`

const resources = new AsyncDisposableStack()
let cluster: Cluster
let helm: Helm

before(async () => {
  const image = await productImage()
  cluster = resources.use(await startCluster())
  await cluster.importImage(image.archive)
  helm = resources.use(await Helm.create(helm4, cluster))
  const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' }
  await cluster.admin.create('/api/v1/namespaces', { metadata: { name: NAMESPACE, labels } })
  for (const name of ['shop', 'pay', 'other']) await cluster.admin.createNamespace(name)
})

after(() => resources.disposeAsync())

interface Case {
  readonly what: string
  readonly config: object
  readonly values?: object
  /** As `kubectl auth can-i --list` names them, by namespace. */
  readonly rights: Readonly<Record<string, readonly string[]>>
  readonly uid: number
}

const readKubeSystem = 'namespaces kube-system [get]'
const cases: readonly Case[] = [
  {
    what: 'the whole cluster, as the user of the image',
    config: { sources: [{ resources: ['pods', 'deployments.apps'] }] },
    rights: {
      shop: ['deployments.apps [list watch]', readKubeSystem, 'pods [list watch]'],
      [NAMESPACE]: ['deployments.apps [list watch]', readKubeSystem, 'pods [list watch]'],
    },
    uid: 65_532,
  },
  {
    what: 'two namespaces, as a user that the image does not know',
    config: { cluster: 'prod', sources: [{ resources: ['pods', 'jobs.batch'], namespaces: ['shop', 'pay'] }] },
    values: { podSecurityContext: { runAsUser: 1_000_730_000, runAsGroup: 0 } },
    rights: {
      shop: ['jobs.batch [list watch]', 'pods [list watch]'],
      pay: ['jobs.batch [list watch]', 'pods [list watch]'],
      other: [],
      [NAMESPACE]: [],
    },
    uid: 1_000_730_000,
  },
  {
    what: 'nodes, and Secrets of one namespace',
    config: {
      cluster: 'prod',
      sources: [{ resources: ['nodes'] }, { resources: ['secrets'], namespaces: ['shop'], allowSecrets: true }],
    },
    values: { rbac: { allowSecrets: true } },
    rights: {
      shop: ['nodes [list watch]', 'secrets [list watch]'],
      other: ['nodes [list watch]'],
      [NAMESPACE]: ['nodes [list watch]'],
    },
    uid: 65_532,
  },
]

for (const { what, config, values, rights, uid } of cases) {
  test(`S5 the pod is admitted, becomes ready and may do no more than it needs: ${what}`, async (t) => {
    await helm.install(RELEASE, NAMESPACE, { config, ...values })
    t.after(() => helm.uninstall(RELEASE, NAMESPACE))
    for (const [namespace, expected] of Object.entries(rights)) {
      const settled = async () => {
        assert.deepEqual(await rightsOf(ACCOUNT, namespace), expected, namespace)
        return true
      }
      await eventually(settled, { what: `the rights in ${namespace} are ${expected.join(', ')}`, withinMs: 10_000 })
    }
    assert.match(await inPod('deltawire', 'status'), /Deltawire \S+ is ready\n$/)
    const script = `
      const fs = require('node:fs')
      const write = (file) => { try { fs.writeFileSync(file, ''); return 'written' } catch (error) { return error.code } }
      console.log(JSON.stringify([process.getuid(), write('/tmp/file'), write('/file'), write('/etc/deltawire/file')]))`
    assert.deepEqual(JSON.parse(await inPod('/nodejs/bin/node', '-e', script)), [uid, 'written', 'EROFS', 'EROFS'])
  })
}

async function inPod(...command: readonly string[]): Promise<string> {
  return await cluster.kubectl('exec', `deployment/${RELEASE}-deltawire`, '-n', NAMESPACE, '--', ...command)
}

/** What the account may do in the namespace that every account may not: `pods [list watch]`. */
async function rightsOf(account: string, namespace: string): Promise<readonly string[]> {
  const list = async (user: string) => {
    const groups = ['system:serviceaccounts', `system:serviceaccounts:${NAMESPACE}`, 'system:authenticated']
    const as = [`--as=${user}`, ...groups.map((group) => `--as-group=${group}`)]
    const table = await cluster.kubectl('auth', 'can-i', '--list', '-n', namespace, '--no-headers', ...as)
    // resource, paths, names and verbs; all but the first in brackets, and columns as wide as they need to be
    return table.split('\n').map((line) =>
      line
        .replaceAll('[]', '')
        .replaceAll(/\[(\S+)\](?= +\[)/g, '$1')
        .replaceAll(/ +/g, ' ')
        .trim(),
    )
  }
  const everybody = await list(`system:serviceaccount:${NAMESPACE}:nobody`)
  return (await list(account)).filter((line) => !everybody.includes(line)).toSorted()
}
