/** What a real kube-apiserver makes of the chart, installed by Helm 3 and by Helm 4. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { Agent, request } from 'undici'
import { loadConfig } from '../../src/config/load.ts'
import { type PolicyRule, rightsOf } from '../../src/config/rights.ts'
import { eventually } from '../support/eventually.ts'
import { startApiServer, type TestApiServer } from '../testbed/api-server.ts'
import { helm3 } from '../testbed/helm.ts'
import { chart, configOf, find, helm, helms, type Manifest, render, type Values } from './support/chart.ts'
import { everything } from './support/everything.ts'

let server: TestApiServer
let kubeconfig: string
let agent: Agent

before(async () => {
  server = await startApiServer()
  kubeconfig = await server.kubeconfig()
  agent = new Agent({ connect: { ca: server.ca } })
  for (const namespace of ['deltawire', 'shop', 'pay', 'other']) await server.admin.createNamespace(namespace)
})

after(async () => {
  await agent?.destroy()
  await server?.[Symbol.asyncDispose]()
})

const RELEASE = ['deltawire', '--namespace', 'deltawire']

async function run(component: (typeof helms)[number], verb: string, values: Values = {}, ...args: readonly string[]) {
  const install = verb === 'install' || verb === 'upgrade'
  const [name = '', ...scope] = RELEASE
  const all = [verb, name, ...(install ? [chart] : []), ...scope, '--kubeconfig', kubeconfig, ...args]
  return await helm(component, all, install ? values : undefined)
}

const NAMESPACED = {
  '/api/v1': ['configmaps', 'pods', 'secrets', 'serviceaccounts', 'services', 'limitranges'],
  '/apis/apps/v1': ['deployments'],
  '/apis/networking.k8s.io/v1': ['networkpolicies'],
  '/apis/rbac.authorization.k8s.io/v1': ['roles', 'rolebindings', 'clusterroles', 'clusterrolebindings'],
} as const

/** `clusterroles/deltawire-deltawire` for each object of the release, in any namespace, and for what Helm keeps itself. */
async function objects(): Promise<readonly string[]> {
  const found = Object.entries(NAMESPACED).flatMap(([path, resources]) =>
    resources.map(async (resource) => {
      const { items } = await server.admin.get(`${path}/${resource}`)
      return (items as readonly Manifest[])
        .filter(({ metadata }) => /deltawire/.test(metadata.name) || metadata.name === 'mine')
        .map(({ metadata }) => `${resource}/${metadata.name}${metadata.namespace ? ` in ${metadata.namespace}` : ''}`)
    }),
  )
  return (await Promise.all(found)).flat().sort()
}

for (const component of helms) {
  test(`${component.name} installs, upgrades to other rights and back, and leaves nothing behind`, async () => {
    assert.match(await run(component, 'install'), /Deltawire 0\.1\.0 is release deltawire in namespace deltawire/)
    const common = [
      'configmaps/deltawire in deltawire',
      'deployments/deltawire in deltawire',
      'serviceaccounts/deltawire in deltawire',
      'services/deltawire in deltawire',
    ]
    const cluster = ['clusterrolebindings/deltawire-deltawire', 'clusterroles/deltawire-deltawire']
    const kept = async () => (await objects()).filter((name) => !name.startsWith('secrets/sh.helm.release'))
    assert.deepEqual(await kept(), [...common, ...cluster].sort())

    await run(component, 'upgrade', {}, '--values', `${chart}/presets/webhook.yaml`)
    const inNamespaces = ['shop', 'pay'].flatMap((namespace) =>
      ['roles', 'rolebindings'].map((resource) => `${resource}/deltawire-deltawire in ${namespace}`),
    )
    assert.deepEqual(await kept(), [...common, ...inNamespaces].sort())

    await run(component, 'upgrade', {}, '--values', `${chart}/presets/kafka-audit.yaml`)
    await run(component, 'upgrade', {}, '--values', `${chart}/presets/eventbridge-lambda.yaml`)
    await run(component, 'rollback')
    assert.deepEqual(await kept(), [...common, ...cluster].sort())

    await run(component, 'uninstall')
    assert.deepEqual(await objects(), [])
  })

  test(`${component.name} installs with every value set, and changes nothing when it is run again`, async () => {
    const { serviceMonitor: _, podMonitor: __, ...values } = everything // their kinds come with the Prometheus operator
    await run(component, 'install', values)
    const path = '/apis/apps/v1/namespaces/deltawire/deployments/deltawire'
    const before = await server.admin.get(path)
    await run(component, 'upgrade', values)
    const again = await server.admin.get(path)
    assert.deepEqual(again.metadata.generation, before.metadata.generation, 'a new pod was started for nothing')
    await run(component, 'uninstall')
    assert.deepEqual(await objects(), [])
  })
}

/** What the server says that the service account may do in a namespace, beyond what every account may. */
async function effectiveRights(namespace: string): Promise<readonly string[]> {
  const [everybody, account] = await Promise.all(
    ['nobody', 'deltawire'].map((name) => rulesReview(`system:serviceaccount:deltawire:${name}`, namespace)),
  )
  return (account ?? []).filter((right) => !everybody?.includes(right))
}

async function rulesReview(user: string, namespace: string): Promise<readonly string[]> {
  const { body } = await request(`${server.url}/apis/authorization.k8s.io/v1/selfsubjectrulesreviews`, {
    method: 'POST',
    dispatcher: agent,
    headers: {
      authorization: `Bearer ${server.token('admin')}`,
      'content-type': 'application/json',
      'impersonate-user': user,
      'impersonate-group': ['system:serviceaccounts', 'system:serviceaccounts:deltawire', 'system:authenticated'],
    },
    body: JSON.stringify({
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectRulesReview',
      spec: { namespace },
    }),
  })
  const { status } = (await body.json()) as {
    readonly status: {
      readonly resourceRules: readonly PolicyRule[]
      readonly nonResourceRules: readonly object[]
      readonly incomplete: boolean
    }
  }
  assert.equal(status.incomplete, false)
  return [...flat(status.resourceRules), ...status.nonResourceRules.map((rule) => JSON.stringify(rule))]
}

/** `list pods`, `get namespaces/kube-system`, `watch deployments.apps`, sorted. */
function flat(rules: readonly PolicyRule[]): readonly string[] {
  const all = rules.flatMap(({ apiGroups, resources, resourceNames = [undefined], verbs }) =>
    apiGroups.flatMap((group) =>
      resources.flatMap((resource) =>
        resourceNames.flatMap((name) =>
          verbs.map((verb) => `${verb} ${resource}${group && `.${group}`}${name === undefined ? '' : `/${name}`}`),
        ),
      ),
    ),
  )
  return [...new Set(all)].sort()
}

const configurations: Readonly<Record<string, Values>> = {
  'everything in the cluster': {
    config: { sources: [{ resources: ['pods', 'deployments.apps', 'widgets.v1.example.com'] }] },
  },
  'two namespaces': { config: { cluster: 'prod', sources: [{ resources: ['pods'], namespaces: ['shop', 'pay'] }] } },
  'nodes everywhere, Secrets in one namespace': {
    rbac: { allowSecrets: true },
    config: {
      cluster: 'prod',
      sources: [
        { name: 'nodes', resources: ['nodes'] },
        { name: 'secrets', resources: ['secrets', 'jobs.batch'], namespaces: ['shop'], allowSecrets: true },
      ],
    },
  },
}

for (const [what, values] of Object.entries(configurations)) {
  test(`the service account may do exactly what its configuration needs: ${what}`, async (t) => {
    await run(helm3, 'install', values)
    t.after(() => run(helm3, 'uninstall'))
    const file = join(dirname(kubeconfig), 'deltawire.yaml')
    writeFileSync(file, configOf(await render(helm3, values)))
    const rights = rightsOf(await loadConfig({ file, env: {} }))
    for (const namespace of ['shop', 'pay', 'other', 'deltawire', 'kube-system']) {
      const own = rights.namespaces.find((scope) => scope.namespace === namespace)?.rules ?? []
      const settled = async () => {
        assert.deepEqual(await effectiveRights(namespace), flat([...rights.cluster, ...own]))
        return true
      }
      await eventually(settled, { what: `the rights in ${namespace} are those that are needed`, withinMs: 10_000 })
    }
  })
}

test('Pod Security "restricted" admits the pod and that of helm test, and would refuse less', async () => {
  const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' }
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'restricted', labels } }
  await server.admin.create('/api/v1/namespaces', namespace)
  const create = async (spec: object) => {
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'deltawire' }, spec }
    return await server.admin.create('/api/v1/namespaces/restricted/pods?dryRun=All', pod)
  }
  const credentials = { existingSecrets: ['kafka'] }
  const podsOf = async (values: Values) => {
    const manifests = await render(helm3, values)
    const { template } = find(manifests, 'Deployment').spec as { readonly template: { readonly spec: object } }
    return [template.spec, find(manifests, 'Pod').spec as object]
  }
  const [pod, test] = await podsOf({ credentials })
  await create(pod ?? assert.fail())
  await create(test ?? assert.fail())
  // an arbitrary uid, as OpenShift gives
  const [arbitrary] = await podsOf({ credentials, podSecurityContext: { runAsUser: 1_000_730_000, runAsGroup: 0 } })
  await create(arbitrary ?? assert.fail())
  for (const weaker of [
    { podSecurityContext: { runAsUser: 0 } },
    { securityContext: { allowPrivilegeEscalation: true } },
    { extraVolumes: [{ name: 'host', hostPath: { path: '/' } }] },
  ]) {
    const [refused] = await podsOf(weaker)
    await assert.rejects(create(refused ?? assert.fail()), { status: 403 })
  }
})
